// Package wait is how a loop pauses and how long after failures.
//
// It owns pauses that a context ends and the length of those that grow. The clock is the
// caller's, as is what is tried again and what is said of it; queues with back-off are
// client-go's.
package wait

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/utils/clock"
)

// Timers is what a pause needs of a clock.
type Timers interface {
	NewTimer(d time.Duration) clock.Timer
}

// Pause returns after d, or earlier when ctx ends, and tells whether ctx goes on. Where d
// is not positive it does not wait at all.
func Pause(ctx context.Context, clk Timers, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	timer := clk.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Backoff is how pauses grow: from First to Most, each twice as long as the one before.
type Backoff struct{ First, Most time.Duration }

// After returns the pause that follows so many failures in a row, none after none.
func (b Backoff) After(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	d := b.First
	for range failures - 1 {
		if d >= b.Most/2 {
			return b.Most
		}
		d *= 2
	}
	return min(d, b.Most)
}

// Spread returns d less a random part of at most d/part: what failed together need not
// come back together.
func Spread(d time.Duration, part int64) time.Duration {
	most := d / time.Duration(part)
	if most <= 0 {
		return d
	}
	return d - rand.N(most)
}
