package objects_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/objects"
)

var (
	secretKey = objects.Key{Kind: objects.Secret, Namespace: "ns", Name: "s"}
	configKey = objects.Key{Kind: objects.ConfigMap, Namespace: "ns", Name: "c"}
)

func newCache(t *testing.T, api *fakeapi.Server) *objects.Cache {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := objects.New(ctx, objects.Config{Client: api.Client(), Clock: clock.APIOf(clock.Real()), Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { cancel(); c.Wait() })
	return c
}

// keep acquires a key and returns a channel that gets a value per change.
func keep(t *testing.T, c *objects.Cache, key objects.Key) <-chan struct{} {
	t.Helper()
	changes := make(chan struct{}, 1000)
	t.Cleanup(c.Acquire(key, func() { changes <- struct{}{} }))
	return changes
}

func await(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatal("no change was told")
	}
}

func quiet(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
		t.Error("a change was told that was none")
	case <-time.After(50 * time.Millisecond):
	}
}

func value(t *testing.T, c *objects.Cache) string {
	t.Helper()
	s, err := c.Secret(t.Context(), "ns", "s")
	if err != nil {
		return err.Error()
	}
	return string(s.Data["k"])
}

func want(t *testing.T, c *objects.Cache, text string) {
	t.Helper()
	if got := value(t, c); got != text {
		t.Errorf("value %q, want %q", got, text)
	}
}

func TestLifeOfAnObject(t *testing.T) {
	api := fakeapi.New(t)
	c := newCache(t, api)
	changes := keep(t, c, secretKey)
	await(t, changes)
	want(t, c, `secret "s" not found`)
	for _, text := range []string{"1", "2"} {
		api.Put(fakeapi.Secret("ns", "s", "k", text))
		await(t, changes)
		want(t, c, text)
	}
	api.Put(fakeapi.Secret("ns", "other", "k", "x"))
	api.Put(fakeapi.ConfigMap("ns", "s", "k", "x"))
	quiet(t, changes)
	api.Delete("secrets", "ns", "s")
	await(t, changes)
	want(t, c, `secret "s" not found`)
	r := c.Keep(secretKey, nil)
	defer r.Release()
	if _, err, known := r.Peek(); !known || !apierrors.IsNotFound(err) {
		t.Errorf("Peek: %v, %v", err, known)
	}
	api.Put(fakeapi.Secret("ns", "s", "k", "again"))
	await(t, changes)
	want(t, c, "again")
	if lists, watches := api.Count("list"), api.Count("watch"); lists != 1 || watches != 1 {
		t.Errorf("%d lists, %d watches for one object", lists, watches)
	}
}

func TestReferencesShareOneWatch(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.ConfigMap("ns", "c", "k", "v"))
	c := newCache(t, api)
	var told atomic.Int64
	var releases []func()
	for range 10 {
		releases = append(releases, c.Acquire(configKey, func() { told.Add(1) }))
	}
	m, err := c.ConfigMap(t.Context(), "ns", "c")
	if err != nil || m.Data["k"] != "v" {
		t.Fatalf("%v, %v", m, err)
	}
	for _, release := range releases[1:] {
		release()
	}
	releases[1]() // a second release is harmless
	before := told.Load()
	changes := keep(t, c, configKey)
	api.Put(fakeapi.ConfigMap("ns", "c", "k", "w"))
	await(t, changes)
	if got := told.Load() - before; got > 1 {
		t.Errorf("%d callbacks for one reference", got)
	}
	if lists := api.Count("list"); lists != 1 {
		t.Errorf("%d lists", lists)
	}
	releases[0]()
}

func TestWithoutAReferenceTheAPIIsRead(t *testing.T) {
	api := fakeapi.New(t)
	c := newCache(t, api)
	want(t, c, `secret "s" not found`)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	want(t, c, "1")
	c.Acquire(secretKey, nil)()
	want(t, c, "1")
}

// TestImmutableObjectsThatAreMadeAnewAreSeen: who had the object and who comes later see the
// same, as with any other object.
func TestImmutableObjectsThatAreMadeAnewAreSeen(t *testing.T) {
	frozen := func(value string) *corev1.Secret {
		s := fakeapi.Secret("ns", "s", "k", value)
		s.Immutable = new(true)
		return s
	}
	api := fakeapi.New(t)
	api.Put(frozen("1"))
	c := newCache(t, api)
	changes := keep(t, c, secretKey)
	await(t, changes)
	want(t, c, "1")
	api.Delete("secrets", "ns", "s")
	await(t, changes)
	api.Put(frozen("2"))
	await(t, changes)
	want(t, c, "2")
	later := c.Keep(secretKey, nil)
	defer later.Release()
	if object, _, known := later.Peek(); !known || string(object.(*corev1.Secret).Data["k"]) != "2" {
		t.Errorf("who comes later has %v", object)
	}
	if n := api.Count("watch"); n != 1 {
		t.Errorf("%d watches of one object", n)
	}
}

func TestServerRestart(t *testing.T) {
	for name, meanwhile := range map[string]func(*fakeapi.Server){
		"changed":             func(api *fakeapi.Server) { api.Put(fakeapi.Secret("ns", "s", "k", "2")) },
		"changed, no history": func(api *fakeapi.Server) { api.Put(fakeapi.Secret("ns", "s", "k", "2")); api.Forget() },
		"changed twice": func(api *fakeapi.Server) {
			api.Delete("secrets", "ns", "s")
			api.Put(fakeapi.Secret("ns", "s", "k", "2"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := fakeapi.New(t)
			api.Put(fakeapi.Secret("ns", "s", "k", "1"))
			c := newCache(t, api)
			changes := keep(t, c, secretKey)
			await(t, changes)
			api.Down()
			time.Sleep(300 * time.Millisecond)
			want(t, c, "1") // the old value is served
			meanwhile(api)
			api.Up()
			began := time.Now()
			for value(t, c) != "2" {
				await(t, changes)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("noticed after %v", took)
			}
			if n := api.Count("list") + api.Count("watch"); n > 10 {
				t.Errorf("%d requests: a busy loop", n)
			}
		})
	}
}

func TestAbsenceOutlivesAnOutage(t *testing.T) {
	api := fakeapi.New(t)
	c := newCache(t, api)
	await(t, keep(t, c, secretKey))
	api.Down()
	time.Sleep(200 * time.Millisecond)
	want(t, c, `secret "s" not found`)
}

func TestRefusedRequests(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	var refuse atomic.Bool
	refuse.Store(true)
	api.Refuse = func(*http.Request) error {
		if refuse.Load() {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "s", errors.New("no relationship found"))
		}
		return nil
	}
	c := newCache(t, api)
	changes := keep(t, c, secretKey)
	if _, err := c.Secret(t.Context(), "ns", "s"); !apierrors.IsForbidden(err) {
		t.Errorf("error %v", err)
	}
	await(t, changes)
	refuse.Store(false)
	await(t, changes)
	want(t, c, "1")
}

func TestAShortRefusalIsNotAnAnswer(t *testing.T) {
	api := fakeapi.New(t)
	api.Put(fakeapi.Secret("ns", "s", "k", "1"))
	var requests atomic.Int64
	api.Refuse = func(*http.Request) error {
		if requests.Add(1) < 3 {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "s", errors.New("no relationship found"))
		}
		return nil
	}
	c := newCache(t, api)
	keep(t, c, secretKey)
	want(t, c, "1")
}

func TestGetEndsWithItsContext(t *testing.T) {
	api := fakeapi.New(t)
	hang := make(chan struct{})
	api.Refuse = func(r *http.Request) error { <-hang; return nil }
	defer close(hang)
	c := newCache(t, api)
	keep(t, c, secretKey)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Secret(ctx, "ns", "s"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestChangesAreToldAtOnce measures from before the write until the callback, over
// HTTP: the watch handlers may add no milliseconds.
func TestChangesAreToldAtOnce(t *testing.T) {
	api := fakeapi.New(t)
	c := newCache(t, api)
	changes := keep(t, c, secretKey)
	await(t, changes)
	const n = 200
	began := time.Now()
	for i := range n {
		api.Put(fakeapi.Secret("ns", "s", "k", string(rune('a'+i%26))))
		await(t, changes)
	}
	mean := time.Since(began) / n
	t.Logf("%v a change", mean)
	if mean > 5*time.Millisecond {
		t.Errorf("%v a change", mean)
	}
}
