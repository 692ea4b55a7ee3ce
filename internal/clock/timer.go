package clock

import (
	"time"

	"k8s.io/utils/clock"
)

// timer fires once, or every period, at deadlines on its clock. Its fields belong
// to the clock's mutex.
type timer struct {
	clock    *Clock
	deadline time.Time
	period   time.Duration
	ch       chan time.Time
	fire     func(now time.Time)
	base     clock.Timer
	round    uint64 // counts arms, so that a base timer that was replaced is not heard
}

// arm sets the base timer to the time that is left at now.
func (t *timer) arm(now time.Time) {
	if t.base != nil {
		t.base.Stop()
	}
	t.round++
	round := t.round
	t.base = t.clock.base.AfterFunc(max(t.deadline.Sub(now), 0), func() { t.expired(round) })
}

// expired runs when the base timer of the given round ends.
func (t *timer) expired(round uint64) {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, armed := c.armed[t]; !armed || round != t.round {
		return
	}
	now := c.now()
	if t.period == 0 {
		delete(c.armed, t)
	} else {
		missed := now.Sub(t.deadline) / t.period
		t.deadline = t.deadline.Add((missed + 1) * t.period)
		t.arm(now)
	}
	t.fire(now)
}

// C implements clock.Timer.
func (t *timer) C() <-chan time.Time { return t.ch }

// Stop implements clock.Timer. After it returns nothing more is sent and a value
// sent before is no longer to be read.
func (t *timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *timer) stop() bool {
	_, armed := t.clock.armed[t]
	delete(t.clock.armed, t)
	t.base.Stop()
	if t.ch != nil {
		select {
		case <-t.ch:
		default:
		}
	}
	return armed
}

// Reset implements clock.Timer.
func (t *timer) Reset(d time.Duration) bool {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	armed := t.stop()
	now := c.now()
	t.deadline = now.Add(d)
	c.armed[t] = struct{}{}
	t.arm(now)
	return armed
}

// ticker hides the result of Stop, as clock.Ticker has none.
type ticker struct{ *timer }

// Stop implements clock.Ticker.
func (t ticker) Stop() { t.timer.Stop() }
