package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// Rotation is a wish for a new key.
type Rotation struct {
	// Type of the new key; "" means that of the key that signs.
	Type Type
	// Immediate lets the new key sign at once, before others who keep a copy of
	// the key set know it.
	Immediate bool
}

// Rotate makes a key and stores it: an upcoming one, which signs when it has been
// published for MaxAge, or one that signs now. It returns the key with the revision of
// the store. A scheduled rotation while another one is under way is refused with a
// *PendingError; an immediate one overtakes that, whose key goes. Large RSA keys take
// some seconds.
func (r *Ring) Rotate(ctx context.Context, want Rotation) (Key, int64, error) {
	v, err := r.current(ctx)
	if err != nil {
		return Key{}, 0, err
	}
	if want.Type == "" {
		want.Type = v.signing.Type
	}
	k, err := newKey(want.Type)
	if err != nil {
		return Key{}, 0, err
	}
	v, err = r.change(ctx, true, func(s *state) (bool, error) {
		return true, s.rotate(k, r.clock.Now(), want.Immediate)
	})
	if err != nil {
		return Key{}, 0, err
	}
	made := slices.IndexFunc(v.state.keys, func(o key) bool { return o.ID == k.ID })
	return v.state.keys[made].Key, v.state.rev, nil
}

// Rehearse returns the key that Rotate would make at now in a ring of these keys, without
// making it: it has no ID and no public half.
func Rehearse(all []Key, want Rotation, now time.Time) (Key, error) {
	s := state{}
	for i := range all {
		s.keys = append(s.keys, key{Key: all[i]})
	}
	if want.Type == "" {
		want.Type = s.in(Signing).Type
	}
	if err := s.rotate(key{Key: Key{Type: want.Type}}, now, want.Immediate); err != nil {
		return Key{}, err
	}
	k := s.keys[len(s.keys)-1].Key
	k.Algorithm = k.Type.Algorithm()
	return k, nil
}

// Withdraw forgets an upcoming or retired key, whose tokens are refused from now on:
// by this server when it returns, by others as soon as they learn of it. allow is asked
// first, with the key and the revision of the store; what it returns is returned. The
// key that signs cannot be withdrawn (ErrSigns).
func (r *Ring) Withdraw(ctx context.Context, id string, allow func(Key, int64) error) error {
	if _, err := r.current(ctx); err != nil {
		return err
	}
	_, err := r.change(ctx, true, func(s *state) (bool, error) {
		i := slices.IndexFunc(s.keys, func(k key) bool { return k.ID == id })
		if i < 0 {
			return false, ErrNotFound
		}
		if err := allow(s.keys[i].Key, s.rev); err != nil {
			return false, err
		}
		return true, s.withdraw(id)
	})
	return err
}

// Refresh takes over what the store holds at some time after the call. Without it,
// users see what another server has stored a few milliseconds later.
func (r *Ring) Refresh(ctx context.Context) error {
	if _, err := r.current(ctx); err != nil {
		return err
	}
	_, err := r.change(ctx, true, func(*state) (bool, error) { return false, nil })
	return err
}

// Confirm is Refresh before a token is refused for its key: another server may have let
// a new key sign a moment ago, and this one not heard of it yet.
func (r *Ring) Confirm(ctx context.Context) {
	if err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("a signing key that is not known could not be confirmed", "error", err)
	}
}

// change lets f change a copy of the state and stores it if f says that it did. If
// fresh, the state is read from the store, else it is the one that users see; in any
// case nothing that somebody else stored meanwhile is lost. It returns what users see
// from now on. f may be called several times.
func (r *Ring) change(ctx context.Context, fresh bool, f func(*state) (changed bool, err error)) (*view, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to change the signing keys: %w", context.Cause(ctx))
	}
	for {
		var s state
		if v := r.view.Load(); v != nil && !fresh {
			s = v.state.clone()
		} else {
			var err error
			if s, err = r.load(ctx); err != nil {
				return nil, err
			}
		}
		founded, err := r.found(&s)
		if err != nil {
			return nil, err
		}
		changed, err := f(&s)
		if err != nil {
			return nil, err
		}
		if changed || founded {
			if err = r.store(ctx, &s); errors.Is(err, ErrConflict) {
				fresh = true
				continue
			} else if err != nil {
				return nil, err
			}
		}
		return r.show(s), nil
	}
}

// found makes the first key of a store that has none. If it had some, somebody deleted
// them, and with them all that they signed: the new key is another one.
func (r *Ring) found(s *state) (bool, error) {
	if len(s.keys) > 0 {
		return false, nil
	}
	k, err := r.fresh()
	if err == nil && r.view.Load() != nil {
		k, err = newKey(r.first)
	}
	if err != nil {
		return false, err
	}
	s.found(k, r.clock.Now())
	return true, nil
}

// damageError is an error that trying again does not mend.
type damageError struct{ error }

// load returns what is stored, without keys when nothing is.
func (r *Ring) load(ctx context.Context) (state, error) {
	data, rev, err := r.backend.Load(ctx)
	if err != nil {
		return state{}, fmt.Errorf("loading signing keys: %w", err)
	}
	if data == nil {
		return state{rev: rev}, nil
	}
	if v := r.view.Load(); v != nil && v.state.rev == rev {
		return v.state.clone(), nil
	}
	s, err := decode(data, r.clock.Now())
	if err != nil {
		return state{}, &damageError{err}
	}
	s.rev = rev
	return s, nil
}

func (r *Ring) store(ctx context.Context, s *state) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	rev, err := r.backend.Store(ctx, data, s.rev)
	if err != nil {
		return fmt.Errorf("storing signing keys: %w", err)
	}
	s.rev, s.old = rev, false
	return nil
}

// show makes s what users see, unless they see it already.
func (r *Ring) show(s state) *view {
	old := r.view.Load()
	if old != nil && old.state.rev == s.rev {
		return old
	}
	v := &view{state: s}
	v.signing = v.state.in(Signing)
	var public []boundtoken.Key
	for i := range s.keys {
		public = append(public, s.keys[i].Key.Key)
	}
	v.set = jwks.New(public...)
	if old != nil && slices.EqualFunc(public, old.set.Find(""), func(a, b boundtoken.Key) bool { return a.ID == b.ID }) {
		v.set = old.set
	}
	r.view.Store(v)
	if old == nil {
		close(r.loaded)
	}
	if old == nil || old.set != v.set || old.signing.ID != v.signing.ID {
		r.log.Info("signing keys in use", "signing", v.signing.ID, "type", v.signing.Type, "accepted", len(public))
	}
	r.notify()
	return v
}
