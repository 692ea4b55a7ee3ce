package fairness

import (
	"maps"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// waiter is whose request waits for a seat, and where.
type waiter struct{ level, account string }

// waiting is a request that waits for a seat. The library has every request wait, most of
// them for no time: those that do for a while press for what stalled requests have.
type waiting struct {
	waiter
	fairness *Fairness
	timer    clock.Timer
	ended    atomic.Bool
}

// begin and end are called by one goroutine after the other.
func (w *waiting) begin() {
	w.timer = w.fairness.config.Wall.AfterFunc(look, w.press)
}

func (w *waiting) end() {
	w.ended.Store(true)
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *waiting) press() {
	if w.ended.Load() {
		return
	}
	w.fairness.press(w.waiter)
	w.fairness.config.Wall.AfterFunc(look, w.press)
}

// press has requests of a level give way to an account, however many of its requests wait,
// now and then.
func (f *Fairness) press(w waiter) {
	now := f.config.Wall.Now()
	before := now.Add(-look + look/8)
	f.mu.Lock()
	due := f.pressed[w].Before(before)
	if due {
		maps.DeleteFunc(f.pressed, func(_ waiter, at time.Time) bool { return at.Before(before) })
		f.pressed[w] = now
	}
	f.mu.Unlock()
	if due {
		f.config.GiveWay(w.level, w.account)
	}
}
