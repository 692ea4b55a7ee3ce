package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// MaxKeys is how many keys a ring holds at most. AWS reads no more than 100 RSA and
// 100 elliptic curve keys of an issuer.
const MaxKeys = 100

var (
	// ErrNotFound is the error of withdrawing a key that is not in the ring.
	ErrNotFound = errors.New("no such signing key")
	// ErrSigns is the error of withdrawing the key that signs.
	ErrSigns = errors.New("the key signs; rotate first, then it can be withdrawn")
	// ErrTooMany is the error of a rotation of a full ring.
	ErrTooMany = fmt.Errorf("there are %d keys already; withdraw retired ones", MaxKeys)
)

// PendingError is the error of a scheduled rotation while another one is under way.
type PendingError struct{ Key Key }

func (e *PendingError) Error() string {
	return fmt.Sprintf("a rotation is under way: key %s is published and signs from %s; withdraw that key first, or rotate at once", e.Key.ID, e.Key.SignsFrom.Format(time.RFC3339))
}

// state is the contents of a store. Methods change it in place; clone it first if
// somebody else has it.
type state struct {
	// algorithm is what the flag of the last server that was heeded asked for.
	algorithm boundtoken.Algorithm
	keys      []key
	// rev is the revision of the store; 0 when nothing is stored.
	rev int64
	// old tells that it was read from an older stored form.
	old bool
}

func (s *state) clone() state {
	c := *s
	c.keys = slices.Clone(s.keys)
	return c
}

// in returns the first key in that state, or nil.
func (s *state) in(want State) *key {
	for i := range s.keys {
		if s.keys[i].State == want {
			return &s.keys[i]
		}
	}
	return nil
}

// found begins a ring with k.
func (s *state) found(k key, now time.Time) {
	k.publish(now, true)
	k.State = Signing
	s.algorithm, s.keys = k.Algorithm, []key{k}
}

// step does what is due at now and tells whether there was anything: an upcoming
// key takes over, retired ones are forgotten.
func (s *state) step(now time.Time) bool {
	changed := false
	if up := s.in(Upcoming); up != nil && !now.Before(up.SignsFrom) {
		s.takeOver(now)
		changed = true
	}
	before := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k key) bool {
		gone, ok := k.Gone()
		return ok && !now.Before(gone)
	})
	return changed || len(s.keys) != before
}

// takeOver lets the upcoming key sign instead of the one that does.
func (s *state) takeOver(now time.Time) {
	up := s.in(Upcoming)
	s.in(Signing).retire(now)
	up.State = Signing
}

// next returns when step has something to do, or false.
func (s *state) next() (first time.Time, ok bool) {
	for i := range s.keys {
		at, known := s.keys[i].Gone()
		if s.keys[i].State == Upcoming {
			at, known = s.keys[i].SignsFrom, true
		}
		if known && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

// rotate adds a new key. An immediate rotation overtakes one that is under way; a
// scheduled one does not, as rotations that come again and again would never end.
func (s *state) rotate(k key, now time.Time, immediate bool) error {
	s.step(now)
	if up := s.in(Upcoming); up != nil && !immediate {
		return &PendingError{up.Key}
	}
	s.dropUpcoming()
	if len(s.keys) >= MaxKeys {
		return ErrTooMany
	}
	k.publish(now, immediate)
	s.keys = append(s.keys, k)
	if immediate {
		s.takeOver(now)
	}
	return nil
}

// dropUpcoming withdraws a key that has signed nothing.
func (s *state) dropUpcoming() {
	s.keys = slices.DeleteFunc(s.keys, func(k key) bool { return k.State == Upcoming })
}

// withdraw forgets a key with everything that it signed.
func (s *state) withdraw(id string) error {
	i := slices.IndexFunc(s.keys, func(k key) bool { return k.ID == id })
	switch {
	case i < 0:
		return ErrNotFound
	case s.keys[i].State == Signing:
		return ErrSigns
	}
	s.keys = slices.Delete(s.keys, i, i+1)
	return nil
}

// raise makes the bound of the key that signs cover tokens that end then, zero
// meaning never, and tells whether it did not.
func (s *state) raise(end time.Time) bool {
	k := s.in(Signing)
	if k.covers(end) {
		return false
	}
	k.LastEnd = Never
	if !end.IsZero() && end.Before(Never.Add(-headroom)) {
		k.LastEnd = stamp(end.Add(headroom))
	}
	return true
}

// heed follows a flag that asks for an algorithm, if it is not what was asked for the
// last time: a key that somebody rotated to stays, however often a server starts. It
// returns whether anything is to be stored and whether a key is to be made, which is
// published before it signs as in every rotation.
func (s *state) heed(alg boundtoken.Algorithm) (changed, rotate bool) {
	if s.algorithm == alg {
		return false, false
	}
	s.algorithm = alg
	if up := s.in(Upcoming); up != nil && up.Algorithm == alg {
		return true, false
	}
	s.dropUpcoming()
	return true, s.in(Signing).Algorithm != alg
}
