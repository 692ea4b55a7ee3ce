package manager

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/tokens/keys"
)

var _ interface {
	component.Component
	component.Readier
	component.Failer
} = &Manager{}

func TestReadinessNamesWhatHasNotStarted(t *testing.T) {
	r := NewReadiness(true)
	if want := []string{"default-service-accounts", "kube-root-ca", "service-account-issuer", "test-clock"}; !slices.Equal(r.Names(), want) {
		t.Errorf("names %q, want %q", r.Names(), want)
	}
	if slices.Contains(NewReadiness(false).Names(), "test-clock") {
		t.Error("a system without a test clock waits for it")
	}
	if err := r.All(); err == nil || err.Error() != "default-service-accounts: the controller has not started" {
		t.Errorf("got %v", err)
	}
	behind := errors.New("two namespaces are without")
	for _, name := range r.Names() {
		r.set(name, func() error { return behind })
		if err := r.Check(name); err != behind {
			t.Errorf("%s: %v", name, err)
		}
		r.set(name, func() error { return nil })
	}
	if err := r.All(); err != nil {
		t.Errorf("all have done it: %v", err)
	}
}

func TestNamesOfReadinessAreTheCallers(t *testing.T) {
	r := NewReadiness(false)
	r.Names()[0] = "other"
	if r.Names()[0] == "other" {
		t.Error("the caller has changed what is promised")
	}
}

// newManager returns controllers of a server that refuses connections.
func newManager(t *testing.T, as func(string) *rest.Config, settled func()) *Manager {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ring, err := keys.New(keys.Config{Algorithm: boundtoken.ES256, Clock: clock.APIOf(clock.Real()), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		As: as, Keys: ring, Tokens: Tokens{Issuer: "https://issuer.example", Overlap: time.Hour, LegacyCleanUp: 24 * time.Hour},
		CA: []byte("bundle"), Stored: func(schema.GroupResource) <-chan struct{} { return nil }, Clock: clock.New(clock.Real()), Wall: clock.Real(), Settled: settled, Ready: NewReadiness(settled != nil), Log: log,
	})
}

func TestEveryControllerActsAsItself(t *testing.T) {
	var asked []string
	as := func(user string) *rest.Config {
		asked = append(asked, user)
		return &rest.Config{Host: "https://127.0.0.1:1"}
	}
	m := newManager(t, as, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.run(ctx); err != nil {
		t.Fatal(err)
	}
	shared := informers.NewSharedInformerFactory(nil, 0)
	for _, b := range m.builders() {
		on := worksOn(b.name)
		if waits := !slices.Contains(asked, user(b.name)); waits != (len(on) > 0) {
			t.Errorf("%s works on %v; it waits: %t", b.name, on, waits)
		}
		if len(on) > 0 {
			if _, err := m.await(b, on, shared).begin(ctx); err != nil {
				t.Errorf("%s: %v", b.name, err)
			}
		}
	}
	users := m.Users()
	if !slices.Equal(slices.Sorted(slices.Values(asked)), slices.Sorted(slices.Values(users))) {
		t.Errorf("clients were made for %q, the users are %q", asked, users)
	}
	for i, u := range users {
		own := strings.HasPrefix(u, "system:serviceaccount:kube-system:") || u == "system:kube-scheduler"
		if !own || slices.Contains(users[:i], u) {
			t.Errorf("%s is not an identity of its own", u)
		}
	}
	// Whatever can be asked for /readyz is there once all are made.
	for _, name := range m.config.Ready.Names() {
		if err := m.config.Ready.Check(name); err == errNotStarted {
			t.Errorf("no controller fulfils %s", name)
		}
	}
}

func TestTestClockIsFollowedOnlyWhereThereIsOne(t *testing.T) {
	as := func(string) *rest.Config { return &rest.Config{Host: "https://127.0.0.1:1"} }
	with, without := newManager(t, as, func() {}).Users(), newManager(t, as, nil).Users()
	if len(with) != len(without)+1 {
		t.Errorf("with a test clock %q, without %q", with, without)
	}
}

func TestLaterControllersWaitForReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind, begun := errors.New("not yet"), 0
		worker := &loop{}
		a := &afterReadiness{ready: func() error { return behind }, wall: clock.Real(), begin: func() ([]runner, error) { begun++; return []runner{worker}, nil }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(time.Hour)
		if begun > 0 {
			t.Error("they have begun before")
		}
		behind = nil
		time.Sleep(poll)
		synctest.Wait()
		if begun != 1 || worker.ended {
			t.Errorf("begun %d times, ended %t", begun, worker.ended)
		}
		cancel()
		if err := <-done; err != nil || !worker.ended {
			t.Errorf("ended %t, %v", worker.ended, err)
		}
		if err := a.Run(ctx); err != nil || begun > 2 {
			t.Errorf("after the end: %v, begun %d times", err, begun)
		}
		a.begin = func() ([]runner, error) { return nil, errors.New("cannot be made") }
		if err := a.Run(t.Context()); err == nil {
			t.Error("that they cannot be made is not told")
		}
	})
}

// loop is a controller that ends with its error, or with ctx.
type loop struct {
	err   error
	ended bool
}

func (l *loop) Run(ctx context.Context) error {
	if l.err != nil {
		return l.err
	}
	<-ctx.Done()
	l.ended = true
	return ctx.Err()
}

func TestFailedControllerEndsTheOthersAndIsNamed(t *testing.T) {
	broken, other := &loop{err: errors.New("no rights")}, &loop{}
	err := runAll(t.Context(), []runner{other, broken})
	if err == nil || err.Error() != "*manager.loop: no rights" || !other.ended {
		t.Errorf("got %v, the other ended: %v", err, other.ended)
	}
}

func TestStoppedControllersHaveNotFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runAll(ctx, []runner{&loop{}, &loop{}}); err != nil {
		t.Error(err)
	}
}

// TestControllersThatBeginTogetherAreMadeOneAtATime has several begin at once, as after a
// restart of a system where there is an object of every kind.
func TestControllersThatBeginTogetherAreMadeOneAtATime(t *testing.T) {
	m := newManager(t, func(string) *rest.Config { return &rest.Config{Host: "https://127.0.0.1:1"} }, nil)
	shared := informers.NewSharedInformerFactory(nil, 0)
	var making, made atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		a := m.await(builder{"later", func(given) (runner, error) {
			if n := making.Add(1); n > 1 {
				t.Errorf("%d are made at once", n)
			}
			time.Sleep(time.Millisecond)
			making.Add(-1)
			made.Add(1)
			return nil, nil
		}}, nil, shared)
		all.Go(func() {
			if _, err := a.begin(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 8 {
		t.Errorf("%d are made", made.Load())
	}
}

func TestAControllerBeginsWithWhatItWorksOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker, begun := &loop{}, 0
		seen := make(chan struct{})
		a := &awaiting{"later", []<-chan struct{}{make(chan struct{}), seen}, func(context.Context) (runner, error) { begun++; return worker, nil }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		if begun > 0 {
			t.Error("it began with nothing to do")
		}
		close(seen)
		synctest.Wait()
		if begun != 1 {
			t.Errorf("it began %d times", begun)
		}
		cancel()
		if err := <-done; err != nil || !worker.ended {
			t.Errorf("ended %t, %v", worker.ended, err)
		}
		begun, a.stored = 0, a.stored[:1]
		if err := a.Run(ctx); err != nil || begun > 0 {
			t.Errorf("it began %d times after the end: %v", begun, err)
		}
	})
}
