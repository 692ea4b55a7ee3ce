package lifecycle

import "time"

// Restart back-off, as upstream: the first restart is immediate, the next waits
// 10 s, each further one twice as long up to 5 min; a container that ran for 10 min
// starts over.
const (
	firstDelay = 10 * time.Second
	maxDelay   = 5 * time.Minute
	resetAfter = 2 * maxDelay
)

// Backoff counts the restarts of one container, or the pulls of one image. The zero
// value is one that has not failed.
type Backoff struct {
	// Delay is the pause after an end, zero before the first restart.
	Delay time.Duration
	last  time.Time // when Next was called last
}

// Wait returns how long after its end at ended the next start must still wait at now.
func (b *Backoff) Wait(ended, now time.Time) time.Duration {
	if b.Delay == 0 || ended.Sub(b.last) > resetAfter {
		return 0
	}
	return max(b.Delay-now.Sub(ended), 0)
}

// Next counts a start at now of something that ended at ended.
func (b *Backoff) Next(ended, now time.Time) {
	if b.Delay == 0 || ended.Sub(b.last) > resetAfter {
		b.Delay = firstDelay
	} else {
		b.Delay = min(2*b.Delay, maxDelay)
	}
	b.last = now
}

// Restored is the back-off of a container that was started attempt times after its
// first start, the last time at started. A restart of the agent is no reason to
// start a crashing container sooner.
func Restored(attempt uint32, started time.Time) Backoff {
	if attempt == 0 {
		return Backoff{}
	}
	delay := maxDelay
	if attempt < 6 {
		delay = min(firstDelay<<(attempt-1), maxDelay)
	}
	return Backoff{Delay: delay, last: started}
}

// Retry is a pause after a failure that is not the container's own, on the agent's
// clock. The zero value waits for nothing.
type Retry struct {
	Until time.Time
	Delay time.Duration
}

// Later sets the next pause, growing from first to most.
func (r *Retry) Later(now time.Time, first, most time.Duration) {
	r.Delay = min(max(2*r.Delay, first), most)
	r.Until = now.Add(r.Delay)
}

// Sooner is the shorter of two pauses, where zero is none.
func Sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
