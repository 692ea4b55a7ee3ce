package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
)

// ErrConflict is what Backend.Store returns when the stored revision is not the
// expected one.
var ErrConflict = errors.New("signing keys were changed by someone else")

// Backend keeps the ring's bytes, sealed. It is used by one goroutine at a time
// except for Watch, which runs beside the others.
type Backend interface {
	// Load returns what is stored and its revision: nil and 0 when nothing is.
	Load(ctx context.Context) (data []byte, rev int64, err error)
	// Store replaces what is stored if its revision is expectedRev (0: if
	// nothing is stored) and returns the new revision. It returns
	// ErrConflict, perhaps wrapped, if not.
	Store(ctx context.Context, data []byte, expectedRev int64) (rev int64, err error)
	// Watch calls changed once when it has begun to watch and then after
	// every change, until ctx ends or watching fails. It may call it more
	// often; changed does not block.
	Watch(ctx context.Context, changed func()) error
}

// Config is what a Ring needs.
type Config struct {
	// Algorithm of the first key: RS256 (also for ""), ES256, ES384 or ES512. A
	// ring in the store that was made, or last changed so, for another algorithm
	// begins a rotation to it.
	Algorithm boundtoken.Algorithm
	// Clock is what keys live by; it may jump.
	Clock clock.API
	// Settled is closed once Clock shows the time of the system, before which no
	// key takes a step. Nil means that it does from the start.
	Settled <-chan struct{}
	Log     *slog.Logger
}

// Ring holds the signing keys as last read from the store. Its methods are safe
// for concurrent use.
type Ring struct {
	first   Type
	clock   clock.API
	settled <-chan struct{}
	log     *slog.Logger

	fresh  func() (key, error) // makes the first key, once
	loaded chan struct{}       // closed once view is set
	view   atomic.Pointer[view]

	// turn holds a value while somebody uses the backend and replaces the view.
	turn    chan struct{}
	backend Backend

	mu          sync.Mutex
	subscribers map[chan struct{}]struct{}
}

// view is what users of the ring see of it. It does not change.
type view struct {
	state state
	set   *jwks.Set
	// signing is the key of state that signs.
	signing *key
}

// New returns a ring that has no keys until Run reads or makes them.
func New(c Config) (*Ring, error) {
	if c.Algorithm == "" {
		c.Algorithm = boundtoken.RS256
	}
	t, ok := TypeFor(c.Algorithm)
	if !ok {
		return nil, fmt.Errorf("signing algorithm %q: want RS256, ES256, ES384 or ES512", c.Algorithm)
	}
	if c.Settled == nil {
		settled := make(chan struct{})
		close(settled)
		c.Settled = settled
	}
	return &Ring{
		first: t, clock: c.Clock, settled: c.Settled, log: c.Log,
		fresh:       sync.OnceValues(func() (key, error) { return newKey(t) }),
		loaded:      make(chan struct{}),
		turn:        make(chan struct{}, 1),
		subscribers: map[chan struct{}]struct{}{},
	}, nil
}

// Prepare begins to make a key and returns at once. It is worth calling when the
// store is known to be empty, before it is up: an RSA key takes 0.1 to 1 s. A
// prepared key that the store turns out not to need is dropped.
func (r *Ring) Prepare() { go r.fresh() }

// Signer returns the signer for a token that ends at end; zero is a token without
// end, whose key is accepted until it is withdrawn. When it returns, the store knows
// that the key is needed until then, so the token must not be made to end later. It
// waits until Run has keys, or ctx ends.
func (r *Ring) Signer(ctx context.Context, end time.Time) (boundtoken.Signer, error) {
	v, err := r.current(ctx)
	if err == nil && !v.signing.covers(end) {
		v, err = r.change(ctx, false, func(s *state) (bool, error) { return s.raise(end), nil })
	}
	if err != nil {
		return nil, err
	}
	return v.signing.signer, nil
}

// Keys returns the keys whose tokens are accepted. It waits until Run has keys,
// or ctx ends. The same set is returned until a key comes or goes.
func (r *Ring) Keys(ctx context.Context) (*jwks.Set, error) {
	v, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return v.set, nil
}

// Signing returns the key that signs. It waits until Run has keys, or ctx ends.
func (r *Ring) Signing(ctx context.Context) (Key, error) {
	v, err := r.current(ctx)
	if err != nil {
		return Key{}, err
	}
	return v.signing.Key, nil
}

// List returns all keys in the order in which they were made, and the revision of
// the store that they were read at. It waits until Run has keys, or ctx ends.
func (r *Ring) List(ctx context.Context) ([]Key, int64, error) {
	v, err := r.current(ctx)
	if err != nil {
		return nil, 0, err
	}
	return v.list(), v.state.rev, nil
}

func (v *view) list() []Key {
	out := make([]Key, len(v.state.keys))
	for i := range v.state.keys {
		out[i] = v.state.keys[i].Key
	}
	return out
}

func (r *Ring) current(ctx context.Context) (*view, error) {
	if v := r.view.Load(); v != nil {
		return v, nil
	}
	select {
	case <-r.loaded:
		return r.view.Load(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the signing keys: %w", context.Cause(ctx))
	}
}

// Subscribe returns a channel that gets a value after changes of the ring, one for
// all that happened since it was last read, until cancel is called.
func (r *Ring) Subscribe() (changed <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscribers[ch] = struct{}{}
	return ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subscribers, ch)
	}
}

func (r *Ring) notify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ch := range r.subscribers {
		offer(ch)
	}
}

// offer sends without waiting: one value is enough for all changes.
func offer(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
