package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

// retryAfter is the pause before the store is asked again after an error.
const retryAfter = time.Second

// Run reads the keys from b, makes them if there are none, lets them take their steps
// and follows changes until ctx ends, when it returns nil. Failures to reach the store
// are retried; keys that are stored but cannot be read end Run with an error, since a
// server that would make new ones could lock everybody out. It is called once.
func (r *Ring) Run(ctx context.Context, b Backend) error {
	r.backend = b
	heeded := false
	for {
		err := r.follow(ctx, b, &heeded)
		if ctx.Err() != nil {
			return nil
		}
		if damage := (*damageError)(nil); errors.As(err, &damage) {
			return err
		}
		r.log.Warn("signing keys cannot be followed, will retry", "error", err, "after", retryAfter)
		if !wait.Pause(ctx, r.clock, retryAfter) {
			return nil
		}
	}
}

// follow reads the keys and does what is due at every change and at every step's time,
// until something fails.
func (r *Ring) follow(ctx context.Context, b Backend, heeded *bool) error {
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan struct{}, 1)
	watch := make(chan error, 1)
	go func() { watch <- b.Watch(ctx, func() { offer(changes) }) }()
	defer func() { cancel(); <-watch }()
	settled := r.settled
	if r.isSettled() {
		settled = nil
	}
	for {
		if err := r.agree(ctx, heeded); err != nil {
			return err
		}
		alarm := r.alarm()
		select {
		case <-alarm.C():
		case <-settled:
			settled = nil
		case <-changes:
		case err := <-watch:
			alarm.Stop()
			watch <- err // for the deferred receive
			return fmt.Errorf("watching signing keys: %v", err)
		case <-ctx.Done():
		}
		alarm.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// agree takes over what is stored and does what is due: it brings the stored form up to
// date, takes the steps whose time has come, and heeds the algorithm asked for, once.
// Of several servers that try at once one wins, and the others take what it stored.
func (r *Ring) agree(ctx context.Context, heeded *bool) error {
	settled := r.isSettled()
	v, err := r.change(ctx, true, func(s *state) (bool, error) {
		return settled && s.step(r.clock.Now()) || s.old, nil
	})
	if err != nil || !settled || *heeded {
		return err
	}
	if v.state.algorithm != r.first.Algorithm() {
		if _, err := r.fresh(); err != nil { // takes its time, so before the turn is taken
			return err
		}
		_, err = r.change(ctx, true, r.heed)
	}
	*heeded = err == nil
	return err
}

// heed begins a rotation if the flag asks for one.
func (r *Ring) heed(s *state) (changed bool, err error) {
	changed, rotate := s.heed(r.first.Algorithm())
	if !rotate {
		return changed, nil
	}
	k, err := r.fresh()
	if err != nil {
		return false, err
	}
	err = s.rotate(k, r.clock.Now(), false)
	if errors.Is(err, ErrTooMany) {
		r.log.Warn("signing keys keep an algorithm other than the one asked for", "asked", k.Algorithm, "error", err)
		return changed, nil
	}
	return true, err
}

// isSettled tells whether the clock shows the time of the system.
func (r *Ring) isSettled() bool {
	select {
	case <-r.settled:
		return true
	default:
		return false
	}
}

// NextChange returns when the keys will next change by themselves, or false when they
// will not or are not there yet.
func (r *Ring) NextChange() (at time.Time, ok bool) {
	v := r.view.Load()
	if v == nil {
		return time.Time{}, false
	}
	return v.state.next()
}

// idle is how long follow waits when nothing is going to happen; the timer cannot be
// absent.
const idle = 365 * 24 * time.Hour

// alarm returns a timer that rings when the next step is due. One that was set while
// the clock jumped would ring at the wrong time, so that is tried again.
func (r *Ring) alarm() clock.Timer {
	for {
		now := r.clock.Now()
		wait := idle
		if next, ok := r.NextChange(); ok && r.isSettled() {
			wait = max(next.Sub(now), 0)
		}
		timer := r.clock.NewTimer(wait)
		if passed := r.clock.Since(now); passed >= 0 && passed < time.Second {
			return timer
		}
		timer.Stop()
	}
}
