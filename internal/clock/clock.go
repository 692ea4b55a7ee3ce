// Package clock is the two times that a system has, as two types that the compiler
// tells apart: API, which tokens, keys, issuers, credentials and back-offs live by, and
// Wall, real time. Clock is the former: real time plus an offset that can jump while the
// system runs.
//
// It owns the types, the machine's clock, the offset and the re-arming of timers when it
// changes. Where the offset is stored and who moves it lives in
// internal/controller/testclock. What is given both, such as a queue or
// projection/atomicdir, takes the interfaces of k8s.io/utils/clock.
package clock

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Clock implements clock.WithTickerAndDelayedExecution over a base clock. Its time
// is the base clock's plus an offset, zero at first. All methods may be called
// concurrently.
type Clock struct {
	base clock.WithTickerAndDelayedExecution

	mu     sync.Mutex
	offset time.Duration
	armed  map[*timer]struct{}
}

var _ clock.WithTickerAndDelayedExecution = &Clock{}

// New returns a clock that runs with base and has no offset.
func New(base clock.WithTickerAndDelayedExecution) *Clock {
	return &Clock{base: base, armed: map[*timer]struct{}{}}
}

// Offset returns how far the clock is ahead of its base; negative when behind.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// SetOffset moves the clock to base + d. Every timer and ticker keeps its deadline
// on this clock: those that the jump passes fire now, a ticker once however many
// periods were passed; those that a jump backwards moves away wait longer.
func (c *Clock) SetOffset(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offset == d {
		return
	}
	c.offset = d
	now := c.now()
	for t := range c.armed {
		t.arm(now)
	}
}

// now is Now for holders of mu.
func (c *Clock) now() time.Time { return c.base.Now().Add(c.offset) }

// Now implements clock.PassiveClock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// Since implements clock.PassiveClock.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// After implements clock.Clock.
func (c *Clock) After(d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

// Sleep implements clock.Clock.
func (c *Clock) Sleep(d time.Duration) { <-c.After(d) }

// Tick implements clock.Clock; the ticker cannot be stopped.
func (c *Clock) Tick(d time.Duration) <-chan time.Time { return c.NewTicker(d).C() }

// NewTimer implements clock.Clock.
func (c *Clock) NewTimer(d time.Duration) clock.Timer {
	ch := make(chan time.Time, 1)
	return c.start(d, 0, ch, func(now time.Time) { offer(ch, now) })
}

// NewTicker implements clock.WithTicker. It panics when d is not positive.
func (c *Clock) NewTicker(d time.Duration) clock.Ticker {
	if d <= 0 {
		panic("clock: non-positive interval for NewTicker")
	}
	ch := make(chan time.Time, 1)
	return ticker{c.start(d, d, ch, func(now time.Time) { offer(ch, now) })}
}

// AfterFunc implements clock.WithDelayedExecution: f runs in its own goroutine.
func (c *Clock) AfterFunc(d time.Duration, f func()) clock.Timer {
	return c.start(d, 0, nil, func(time.Time) { go f() })
}

func (c *Clock) start(d, period time.Duration, ch chan time.Time, fire func(time.Time)) *timer {
	t := &timer{clock: c, period: period, ch: ch, fire: fire}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	t.deadline = now.Add(d)
	c.armed[t] = struct{}{}
	t.arm(now)
	return t
}

// offer sends without waiting: a reader that is late gets one value, not many.
func offer(ch chan time.Time, now time.Time) {
	select {
	case ch <- now:
	default:
	}
}
