package keys

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
)

// memory is a Backend in memory, with the guarantees that Backend asks for.
type memory struct {
	mu       sync.Mutex
	data     []byte
	rev      int64
	stores   int
	failing  error
	deaf     bool // watchers are not told
	watchers map[chan struct{}]func()
}

func (m *memory) Load(context.Context) ([]byte, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, m.rev, m.failing
}

func (m *memory) Store(_ context.Context, data []byte, expected int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return 0, m.failing
	}
	if expected != m.rev {
		return 0, ErrConflict
	}
	m.put(data)
	return m.rev, nil
}

// contents returns what is stored, and how often something was.
func (m *memory) contents() (data []byte, stores int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, m.stores
}

// fail makes the store answer with an error, or well again.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = err
}

func (m *memory) put(data []byte) {
	m.data, m.rev, m.stores = data, m.rev+1, m.stores+1
	for _, changed := range m.watchers {
		if !m.deaf {
			changed()
		}
	}
}

func (m *memory) Watch(ctx context.Context, changed func()) error {
	id := make(chan struct{})
	m.mu.Lock()
	if err := m.failing; err != nil {
		m.mu.Unlock()
		return err
	}
	if m.watchers == nil {
		m.watchers = map[chan struct{}]func(){}
	}
	m.watchers[id] = changed
	m.mu.Unlock()
	changed()
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, id)
	return ctx.Err()
}

func newRing(t testing.TB, alg boundtoken.Algorithm, change ...func(*Config)) *Ring {
	t.Helper()
	c := Config{Algorithm: alg, Clock: clock.APIOf(clock.Real()), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs r on b until the test ends or stop is called.
func run(t testing.TB, r *Ring, b Backend) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, b) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// ids returns the ID of the key that signs and all accepted keys.
func (r *Ring) ids(t testing.TB) (string, *jwks.Set) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	k, err := r.Signing(ctx)
	if err != nil {
		t.Fatal(err)
	}
	set, err := r.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return k.ID, set
}
