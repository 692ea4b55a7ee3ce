package wait_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	baseclock "k8s.io/utils/clock"

	"laterna.dev/laterna/internal/wait"
)

func TestPauseLastsAsLongAsItIsTold(t *testing.T) {
	for name, d := range map[string]time.Duration{"an hour": time.Hour, "nothing": 0, "less than nothing": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				if !wait.Pause(t.Context(), baseclock.RealClock{}, d) {
					t.Error("says that the context has ended")
				}
				if took := time.Since(began); took != max(d, 0) {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	for name, after := range map[string]time.Duration{"before": 0, "during": time.Minute, "at the same moment": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				began := time.Now()
				goesOn := wait.Pause(ctx, baseclock.RealClock{}, time.Hour)
				if took := time.Since(began); took != after {
					t.Errorf("took %s", took)
				}
				if goesOn != (ctx.Err() == nil) || after < time.Hour && goesOn {
					t.Errorf("goes on: %v, context: %v", goesOn, ctx.Err())
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if wait.Pause(ctx, baseclock.RealClock{}, 0) {
		t.Error("no pause at all goes on after the end of its context")
	}
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	b := wait.Backoff{First: 10 * time.Millisecond, Most: time.Second}
	for failures, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 10 * time.Millisecond, 2: 20 * time.Millisecond, 7: 640 * time.Millisecond, 8: time.Second, 9: time.Second, 1 << 40: time.Second,
	} {
		if got := b.After(failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	long := wait.Backoff{First: time.Hour, Most: 1 << 62}
	if got := long.After(100); got != 1<<62 {
		t.Errorf("overflowed to %s", got)
	}
	if got := (wait.Backoff{First: time.Minute, Most: time.Second}).After(1); got != time.Second {
		t.Errorf("a first pause above the longest: %s", got)
	}
}

func TestSpreadStaysWithinItsPart(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := wait.Spread(time.Second, 4)
		if d <= 750*time.Millisecond || d > time.Second {
			t.Fatalf("%s", d)
		}
		seen[d] = true
	}
	if len(seen) < 100 {
		t.Errorf("only %d pauses in 1000", len(seen))
	}
	if d := wait.Spread(1, 2); d != 1 {
		t.Errorf("of a nanosecond: %s", d)
	}
	if d := wait.Spread(0, 2); d != 0 {
		t.Errorf("of nothing: %s", d)
	}
}
