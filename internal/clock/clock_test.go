package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/clock"
)

// fired tells whether ch holds a value once every goroutine is at rest.
func fired(ch <-chan time.Time) bool {
	synctest.Wait()
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestTimersFollowTheOffset(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offset  time.Duration
		wait    time.Duration
		expired bool
	}{
		{"no offset, too early", 0, 59 * time.Minute, false},
		{"no offset, on time", 0, time.Hour, true},
		{"jump past the deadline", 2 * time.Hour, 0, true},
		{"jump to just before it", time.Hour - time.Second, 0, false},
		{"jump to just before it and wait", time.Hour - time.Second, time.Second, true},
		{"jump back delays", -time.Hour, time.Hour, false},
		{"jump back and wait it out", -time.Hour, 2 * time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clock.New(baseclock.RealClock{})
				timer := c.NewTimer(time.Hour)
				defer timer.Stop()
				c.SetOffset(tc.offset)
				time.Sleep(tc.wait)
				if got := fired(timer.C()); got != tc.expired {
					t.Errorf("timer fired = %v, want %v", got, tc.expired)
				}
			})
		})
	}
}

func TestTickerFiresOnceForAJumpOverManyPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(baseclock.RealClock{})
		ticker := c.NewTicker(time.Minute)
		defer ticker.Stop()
		c.SetOffset(10*time.Minute + 30*time.Second)
		if !fired(ticker.C()) {
			t.Fatal("no tick after a jump over ten periods")
		}
		if fired(ticker.C()) {
			t.Fatal("a second tick for the same jump")
		}
		time.Sleep(30 * time.Second)
		if !fired(ticker.C()) {
			t.Fatal("the ticker lost its phase: no tick at the eleventh minute")
		}
	})
}

func TestStopAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(baseclock.RealClock{})
		timer := c.NewTimer(time.Minute)
		if !timer.Stop() || timer.Stop() {
			t.Fatal("Stop must report true once")
		}
		c.SetOffset(time.Hour)
		if fired(timer.C()) {
			t.Fatal("a stopped timer fired")
		}
		if timer.Reset(time.Minute) {
			t.Fatal("Reset of a stopped timer reports true")
		}
		c.SetOffset(time.Hour + time.Minute)
		if !fired(timer.C()) {
			t.Fatal("a reset timer did not fire")
		}
	})
}

func TestAfterFuncAndNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(baseclock.RealClock{})
		before, ran := c.Now(), make(chan time.Time, 1)
		c.AfterFunc(24*time.Hour, func() { ran <- c.Now() })
		c.SetOffset(24 * time.Hour)
		if got := (<-ran).Sub(before); got != 24*time.Hour {
			t.Errorf("ran after %s on its clock, want 24h", got)
		}
		if c.Since(before) != 24*time.Hour || c.Offset() != 24*time.Hour {
			t.Errorf("since = %s, offset = %s, want 24h each", c.Since(before), c.Offset())
		}
	})
}
