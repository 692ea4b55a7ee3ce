package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
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
	// Algorithm of the key that signs: RS256 (also for "") or ES256. A ring
	// in the store whose active key is of the other algorithm gets a new
	// active key; the old one stays accepted.
	Algorithm boundtoken.Algorithm
	// Clock stamps keys and paces retries.
	Clock clock.Clock
	Log   *slog.Logger
}

// Ring holds the signing keys as last read from the store. Its methods are safe
// for concurrent use.
type Ring struct {
	alg   boundtoken.Algorithm
	clock clock.Clock
	log   *slog.Logger

	fresh  func() (key, error) // makes the first key, once
	loaded chan struct{}       // closed once view is set

	mu   sync.RWMutex
	view view
	rev  int64
}

// view is what users of the ring see of it.
type view struct {
	signer boundtoken.Signer
	set    *jwks.Set
}

// New returns a ring that has no keys until Run reads or makes them.
func New(c Config) (*Ring, error) {
	if c.Algorithm == "" {
		c.Algorithm = boundtoken.RS256
	}
	if c.Algorithm != boundtoken.RS256 && c.Algorithm != boundtoken.ES256 {
		return nil, fmt.Errorf("signing algorithm %q: want %s or %s", c.Algorithm, boundtoken.RS256, boundtoken.ES256)
	}
	r := &Ring{alg: c.Algorithm, clock: c.Clock, log: c.Log, loaded: make(chan struct{})}
	r.fresh = sync.OnceValues(func() (key, error) { return newKey(r.alg, r.clock.Now()) })
	return r, nil
}

// Prepare begins to make a key and returns at once. It is worth calling when the
// store is known to be empty, before it is up: an RSA key takes 0.1 to 1 s. A
// prepared key that the store turns out not to need is dropped.
func (r *Ring) Prepare() { go r.fresh() }

// Signer returns the signer to sign with now. It waits until Run has keys, or
// ctx ends.
func (r *Ring) Signer(ctx context.Context) (boundtoken.Signer, error) {
	v, err := r.current(ctx)
	return v.signer, err
}

// Keys returns the keys whose tokens are accepted. It waits until Run has keys,
// or ctx ends. The same set is returned until the keys change.
func (r *Ring) Keys(ctx context.Context) (*jwks.Set, error) {
	v, err := r.current(ctx)
	return v.set, err
}

func (r *Ring) current(ctx context.Context) (view, error) {
	select {
	case <-r.loaded:
	default:
		select {
		case <-r.loaded:
		case <-ctx.Done():
			return view{}, fmt.Errorf("waiting for the signing keys: %w", context.Cause(ctx))
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.view, nil
}

// retryAfter is the pause before the store is asked again after an error.
const retryAfter = time.Second

// Run reads the keys from b, makes them if there are none, and follows changes
// until ctx ends, when it returns nil. Failures to reach the store are retried;
// keys that are stored but cannot be read end Run with an error, since a server
// that would make new ones could lock everybody out.
func (r *Ring) Run(ctx context.Context, b Backend) error {
	for {
		err := r.follow(ctx, b)
		if ctx.Err() != nil {
			return nil
		}
		if damage := (*damageError)(nil); errors.As(err, &damage) {
			return err
		}
		r.log.Warn("signing keys cannot be followed, will retry", "error", err, "after", retryAfter)
		select {
		case <-r.clock.After(retryAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow reads the keys and re-reads them on every change, until something fails.
func (r *Ring) follow(ctx context.Context, b Backend) error {
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan struct{}, 1)
	watch := make(chan error, 1)
	go func() {
		watch <- b.Watch(ctx, func() {
			select {
			case changes <- struct{}{}:
			default: // one is on its way already
			}
		})
	}()
	defer func() { cancel(); <-watch }()
	if err := r.agree(ctx, b); err != nil {
		return err
	}
	for {
		select {
		case <-changes:
			if err := r.refresh(ctx, b); err != nil {
				return err
			}
		case err := <-watch:
			watch <- err // for the deferred receive
			return fmt.Errorf("watching signing keys: %v", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// agree makes sure that the store has a ring with an active key of this server's
// algorithm. Of several servers that try at once one wins, and the others take
// what it stored.
func (r *Ring) agree(ctx context.Context, b Backend) error {
	for {
		ring, rev, err := load(ctx, b)
		if err != nil {
			return err
		}
		next, changed, err := withActive(ring, r.alg, r.fresh)
		if err != nil {
			return err
		}
		if !changed {
			r.show(ring, rev)
			return nil
		}
		data, err := encode(next)
		if err != nil {
			return fmt.Errorf("encoding signing keys: %v", err)
		}
		rev, err = b.Store(ctx, data, rev)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("storing signing keys: %v", err)
		}
		r.show(next, rev)
		return nil
	}
}

// refresh takes over what is stored now.
func (r *Ring) refresh(ctx context.Context, b Backend) error {
	ring, rev, err := load(ctx, b)
	if err != nil {
		return err
	}
	if len(ring) == 0 {
		return r.agree(ctx, b) // someone deleted the keys: there must be some
	}
	r.show(ring, rev)
	return nil
}

// damageError is an error that trying again does not mend.
type damageError struct{ error }

func load(ctx context.Context, b Backend) ([]key, int64, error) {
	data, rev, err := b.Load(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("loading signing keys: %v", err)
	}
	if data == nil {
		return nil, rev, nil
	}
	ring, err := decode(data)
	if err != nil {
		return nil, 0, &damageError{err}
	}
	return ring, rev, nil
}

// show makes ring the one that users see, unless it is what they see already.
func (r *Ring) show(ring []key, rev int64) {
	var v view
	var public []boundtoken.Key
	for i, k := range ring {
		public = append(public, k.public())
		if k.state == Active {
			v.signer = ring[i].signer
		}
	}
	v.set = jwks.New(public...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.view.set != nil && r.rev == rev {
		return
	}
	first := r.view.set == nil
	r.view, r.rev = v, rev
	if first {
		close(r.loaded)
	}
	r.log.Info("signing keys in use", "active", v.signer.Key().ID, "algorithm", v.signer.Key().Algorithm, "accepted", len(public))
}
