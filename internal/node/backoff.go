package node

import "time"

// Restart back-off, as upstream: the first restart is immediate, the next waits
// 10 s, each further one twice as long up to 5 min; a container that ran for 10 min
// starts over.
const (
	firstDelay = 10 * time.Second
	maxDelay   = 5 * time.Minute
	resetAfter = 2 * maxDelay
)

// backoff counts the restarts of one container, or the pulls of one image. The zero
// value is one that has not failed.
type backoff struct {
	delay time.Duration
	last  time.Time // when next was called last
}

// wait returns how long after its end at ended the next start must still wait at now.
func (b *backoff) wait(ended, now time.Time) time.Duration {
	if b.delay == 0 || ended.Sub(b.last) > resetAfter {
		return 0
	}
	return max(b.delay-now.Sub(ended), 0)
}

// next counts a start at now of something that ended at ended.
func (b *backoff) next(ended, now time.Time) {
	if b.delay == 0 || ended.Sub(b.last) > resetAfter {
		b.delay = firstDelay
	} else {
		b.delay = min(2*b.delay, maxDelay)
	}
	b.last = now
}

// restored is the back-off of a container that was started attempt times after its
// first start, the last time at started. A restart of the agent is no reason to
// start a crashing container sooner.
func restored(attempt uint32, started time.Time) backoff {
	if attempt == 0 {
		return backoff{}
	}
	delay := maxDelay
	if attempt < 6 {
		delay = min(firstDelay<<(attempt-1), maxDelay)
	}
	return backoff{delay: delay, last: started}
}
