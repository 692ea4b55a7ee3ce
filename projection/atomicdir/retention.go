package atomicdir

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// Grace is how long a replaced generation stays at least.
	Grace = 2 * time.Second
	// MaxReplaced is how many replaced generations are kept at most.
	MaxReplaced = 8
)

// room removes the replaced generations whose time is over and returns how long to
// wait until another one may be replaced; zero: now.
func (d *Dir) room() time.Duration {
	d.prune()
	if d.current == "" || len(d.old) < MaxReplaced {
		return 0
	}
	return max(Grace-d.age(0), time.Millisecond)
}

// full tells how long to wait after err until a replaced generation makes room; zero
// when err is not that the file system is full, or nothing will be freed.
func (d *Dir) full(err error) time.Duration {
	if !errors.Is(err, syscall.ENOSPC) {
		return 0
	}
	for i := range d.old {
		if !d.old[i].stuck {
			return max(Grace-d.age(i), time.Millisecond)
		}
	}
	return 0
}

// Replaced returns how many replaced generations are kept and will be removed.
func (d *Dir) Replaced() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.old {
		if !r.stuck {
			n++
		}
	}
	return n
}

// age tells how long ago old[i] was replaced. A clock that jumped backwards starts
// the time again rather than stretching it.
func (d *Dir) age(i int) time.Duration {
	now := d.clock.Now()
	age := now.Sub(d.old[i].at)
	if age < 0 {
		d.old[i].at, age = now, 0
	}
	return age
}

// prune removes what is over Grace. What cannot be removed now is tried again after
// another Grace.
func (d *Dir) prune() {
	var kept []replaced
	for i := range d.old {
		if d.age(i) < Grace {
			kept = append(kept, d.old[i])
		} else if d.ops.removeTree(d.old[i].name) != nil {
			kept = append(kept, replaced{name: d.old[i].name, at: d.clock.Now(), stuck: true})
		}
	}
	d.old = kept
}

// schedule arms the timer for the oldest replaced generation.
func (d *Dir) schedule() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if len(d.old) > 0 {
		// Own goroutine: a test's clock may call back with its lock held.
		d.timer = d.clock.AfterFunc(max(Grace-d.age(0), time.Millisecond), func() { go d.pruneByTimer() })
	}
}

func (d *Dir) pruneByTimer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.prune()
	d.schedule()
}

// Purge removes every replaced generation at once, whatever its age: after it only
// the published one is readable, and what is staged. For revoking what an older
// publication held.
func (d *Dir) Purge() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	var kept []replaced
	var errs []error
	for _, r := range d.old {
		if err := d.ops.removeTree(r.name); err != nil {
			kept, errs = append(kept, r), append(errs, err)
		}
	}
	d.old = kept
	d.schedule()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("purging replaced generations: %w", err)
	}
	return nil
}
