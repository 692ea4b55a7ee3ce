package encryption

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcd3testing "k8s.io/apiserver/pkg/storage/etcd3/testing"
	"k8s.io/apiserver/pkg/storage/value"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd/walk"
)

// store starts an etcd server that ends with the test.
func store(t *testing.T) *clientv3.Client {
	t.Helper()
	server, _ := etcd3testing.NewUnsecuredEtcd3TestClientServer(t)
	return server.V3Client.Client
}

const sealedKey = "/laterna/keys"

// keeper returns one for a server with a key file of its own, or with a copy of that of
// another server.
func keeper(t *testing.T, client *clientv3.Client, name string, copyOf *Keeper) *Keeper {
	t.Helper()
	file := filepath.Join(t.TempDir(), "encryption.key")
	if copyOf != nil {
		copyFile(t, copyOf, file)
	}
	box, err := atrest.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Client: client, Box: box, Server: name, Sealed: []string{sealedKey}, Settle: 20 * time.Millisecond,
		Transformer: func(resource string) value.Transformer {
			if resource == "secrets" {
				return box.Transformer()
			}
			return nil
		},
		Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
	})
}

func copyFile(t *testing.T, from *Keeper, file string) {
	t.Helper()
	data, err := os.ReadFile(from.config.Box.File())
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run lets keepers work until the test ends.
func run(t *testing.T, keepers ...*Keeper) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	for _, k := range keepers {
		go func() {
			k.Run(ctx)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range keepers {
			<-ended
		}
		// A server that ends waits for the streams of its clients.
		keepers[0].config.Client.Close()
	})
}

// seal stores a value as k's server would.
func seal(t *testing.T, k *Keeper, key, plain string) {
	t.Helper()
	stored, err := k.config.Box.Transformer().TransformToStorage(t.Context(), []byte(plain), value.DefaultContext(key))
	if err != nil {
		t.Fatal(err)
	}
	put(t, k.config.Client, key, string(stored))
}

func put(t *testing.T, client *clientv3.Client, key, stored string, options ...clientv3.OpOption) {
	t.Helper()
	if _, err := client.Put(t.Context(), key, stored, options...); err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, client *clientv3.Client, key string) string {
	t.Helper()
	resp, err := client.Get(t.Context(), key)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("%s: %v, %v", key, resp, err)
	}
	return string(resp.Kvs[0].Value)
}

// until asks for the state of the rotation until it is as wanted.
func until(t *testing.T, k *Keeper, what string, wanted func(r *Rotation) bool) *Rotation {
	t.Helper()
	var last *Rotation
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, _, err := k.load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if last = r; r != nil && wanted(r) {
			return r
		}
	}
	t.Fatalf("the rotation did not come to %s: %+v", what, last)
	return nil
}

func complete(r *Rotation) bool { return r.State == Complete }

func names(keys []atrest.Key) (all []string) {
	for _, k := range keys {
		all = append(all, k.Name)
	}
	return all
}

func TestRotationLeavesNothingUnderTheOldKey(t *testing.T) {
	client := store(t)
	k := keeper(t, client, "a", nil)
	for i := range 2*walk.PageSize + 1 {
		seal(t, k, fmt.Sprintf("/registry/secrets/default/s%03d", i), fmt.Sprintf("secret %d", i))
	}
	put(t, client, "/registry/secrets/default/plain", "never sealed")
	put(t, client, "/registry/configmaps/default/c", "not encrypted at all")
	seal(t, k, sealedKey, "signing key")
	old := k.config.Box.Keys()[0].Name
	run(t, k)
	if err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := until(t, k, "its end", complete)
	if r.Rewritten != 2*walk.PageSize+3 || r.Completed == nil || r.Message != "" || !slices.Equal(r.Old, []string{old}) {
		t.Errorf("record %+v", r)
	}
	if keys := k.config.Box.Keys(); len(keys) != 1 || keys[0] != r.Key || keys[0].Name == old {
		t.Errorf("keys %v after a rotation from %s to %v", keys, old, r.Key)
	}
	if file, err := os.ReadFile(k.config.Box.File()); err != nil || bytes.Contains(file, []byte(old+":")) || bytes.HasPrefix(file, []byte(old+" ")) {
		t.Errorf("the old key is still in the file (%v)", err)
	}
	s, err := k.Status(t.Context())
	if err != nil || s.Stale != 0 || len(s.Unreadable) > 0 || s.Values["secretbox "+r.Key.Name] != 2*walk.PageSize+3 || len(s.Values) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	if stored(t, client, "/registry/configmaps/default/c") != "not encrypted at all" {
		t.Error("a value that is not encrypted was changed")
	}
	plain, _, err := k.config.Box.Transformer().TransformFromStorage(t.Context(), []byte(stored(t, client, "/registry/secrets/default/s007")), value.DefaultContext("/registry/secrets/default/s007"))
	if err != nil || string(plain) != "secret 7" {
		t.Errorf("read back %q, %v", plain, err)
	}
}

func TestServersWaitForEachOthersKeys(t *testing.T) {
	client := store(t)
	a := keeper(t, client, "a", nil)
	b := keeper(t, client, "b", a)
	seal(t, a, "/registry/secrets/default/s", "x")
	run(t, a, b)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if all, err := a.servers(t.Context()); err == nil && len(all) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("two servers that run are not both seen")
		}
	}
	if err := a.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := until(t, a, "the wait for b", func(r *Rotation) bool { return r.Message != "" })
	if want := "copy the key file to these servers, which do not have " + r.Key.Name + ": b"; r.State != Distributing || r.Message != want {
		t.Errorf("%s: %q, want %q", r.State, r.Message, want)
	}
	if label := atrest.Label([]byte(stored(t, client, "/registry/secrets/default/s"))); label == "secretbox "+r.Key.Name {
		t.Error("a value is written with a key that a server does not have")
	}
	for _, k := range []*Keeper{a, b} {
		var busy *UnderWayError
		if err := k.Rotate(t.Context()); !errors.As(err, &busy) || busy.Rotation.Key != r.Key {
			t.Errorf("a second rotation: %v", err)
		}
		answer := httptest.NewRecorder()
		k.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, RotatePath, nil))
		if answer.Code != http.StatusConflict || !strings.Contains(answer.Body.String(), "is under way since") {
			t.Errorf("asked for a second rotation: %d %s", answer.Code, answer.Body)
		}
	}
	copyFile(t, a, b.config.Box.File())
	until(t, a, "its end", complete)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if slices.Equal(names(b.config.Box.Keys()), []string{r.Key.Name}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other server keeps %v", b.config.Box.Keys())
		}
	}
}

func TestUnreadableValuesDoNotHoldARotationUp(t *testing.T) {
	client := store(t)
	k := keeper(t, client, "a", nil)
	for i := range maxUnreadable + 2 {
		put(t, client, fmt.Sprintf("/registry/secrets/default/lost%02d", i), "k8s:enc:secretbox:v1:gone:damaged")
	}
	put(t, client, "/registry/secrets/default/other", "k8s:enc:kms:v2:vault:damaged")
	seal(t, k, "/registry/secrets/default/right", "x")
	run(t, k)
	if err := k.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := until(t, k, "its end", complete)
	if !strings.HasPrefix(r.Message, "values that no key decrypts were left as they are: /registry/secrets/default/lost00, ") || strings.Count(r.Message, "lost") != maxUnreadable {
		t.Errorf("message %q", r.Message)
	}
	if got := stored(t, client, "/registry/secrets/default/lost03"); got != "k8s:enc:secretbox:v1:gone:damaged" {
		t.Errorf("a value that cannot be read was changed to %q", got)
	}
}

// TestWhatNobodySealedIsNotSealed keeps a value that somebody has laid at the place of a
// sealed one from becoming trusted by a rotation.
func TestWhatNobodySealedIsNotSealed(t *testing.T) {
	client := store(t)
	k := keeper(t, client, "a", nil)
	put(t, client, sealedKey, "forged")
	run(t, k)
	if err := k.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := until(t, k, "its end", complete)
	if got := stored(t, client, sealedKey); got != "forged" || r.Rewritten != 0 {
		t.Errorf("the value is now %q, %d values were written", got, r.Rewritten)
	}
	if keys := k.config.Box.Keys(); len(keys) != 1 || len(r.Old) != 0 {
		t.Errorf("writing again has changed the keys: %v, old %v", keys, r.Old)
	}
}

func TestReplacedValuesKeepLeaseAndLaterWrites(t *testing.T) {
	client := store(t)
	k := keeper(t, client, "a", nil)
	lease, err := client.Grant(t.Context(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	const key = "/registry/secrets/default/s"
	put(t, client, key, "one", clientv3.WithLease(lease.ID))
	before, err := client.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := k.replace(t.Context(), before.Kvs[0], []byte("two")); !done || err != nil {
		t.Errorf("replaced: %v, %v", done, err)
	}
	after, err := client.Get(t.Context(), key)
	if err != nil || string(after.Kvs[0].Value) != "two" || after.Kvs[0].Lease != int64(lease.ID) {
		t.Errorf("stored %v, %v", after, err)
	}
	if done, err := k.replace(t.Context(), before.Kvs[0], []byte("late")); done || err != nil {
		t.Errorf("a value that somebody else has written was replaced: %v, %v", done, err)
	}
	if got := stored(t, client, key); got != "two" {
		t.Errorf("stored %q", got)
	}
}

func TestRecordsAreNotWrittenOverEachOther(t *testing.T) {
	client := store(t)
	k := keeper(t, client, "a", nil)
	if r, rev, err := k.load(t.Context()); r != nil || rev != 0 || err != nil {
		t.Errorf("of an empty store: %v, %d, %v", r, rev, err)
	}
	rev, err := k.store(t.Context(), &Rotation{State: Distributing}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []int64{0, rev - 1, rev + 1} {
		if _, err := k.store(t.Context(), &Rotation{State: Complete}, expected); !errors.Is(err, errConflict) {
			t.Errorf("written over revision %d, expecting %d: %v", rev, expected, err)
		}
	}
	if r, at, err := k.load(t.Context()); err != nil || at != rev || r.State != Distributing {
		t.Errorf("record %+v at %d, %v", r, at, err)
	}
	put(t, client, recordKey, "{")
	if _, _, err := k.load(t.Context()); err == nil || !strings.Contains(err.Error(), recordKey) {
		t.Errorf("a broken record: %v", err)
	}
}

// TestOneServerLeads holds that a server takes its own place back after a crash, and that
// no other takes it while the lease lives.
func TestOneServerLeads(t *testing.T) {
	client := store(t)
	a, b := keeper(t, client, "a", nil), keeper(t, client, "b", nil)
	lease := func() clientv3.LeaseID {
		grant, err := client.Grant(t.Context(), 3600)
		if err != nil {
			t.Fatal(err)
		}
		return grant.ID
	}
	first, next := lease(), lease()
	for _, step := range []struct {
		what string
		k    *Keeper
		id   clientv3.LeaseID
		want bool
	}{
		{"the first", a, first, true}, {"the first again", a, first, true}, {"another", b, next, false},
		{"the first in its next life", a, next, true}, {"another still", b, first, false},
	} {
		if got, err := step.k.take(t.Context(), step.id); got != step.want || err != nil {
			t.Errorf("%s: %v, %v", step.what, got, err)
		}
	}
	if _, err := client.Revoke(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got, err := b.take(t.Context(), first); !got || err != nil {
		t.Errorf("another after the first has gone: %v, %v", got, err)
	}
}
