package lifecycle

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b Backoff
	now := start
	for i, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300} {
		want *= time.Second
		ended := now.Add(time.Second)
		if got := b.Wait(ended, ended); got != want {
			t.Errorf("restart %d waits %s, want %s", i, got, want)
		}
		if want > 0 {
			if got := b.Wait(ended, ended.Add(want-time.Second)); got != time.Second {
				t.Errorf("restart %d waits %s a second before its end", i, got)
			}
		}
		now = ended.Add(want)
		if got := b.Wait(ended, now); got != 0 {
			t.Errorf("restart %d waits %s after its end", i, got)
		}
		b.Next(ended, now)
	}
	ended := now.Add(resetAfter + time.Second)
	if got := b.Wait(ended, ended); got != 0 {
		t.Errorf("after a long life: waits %s", got)
	}
	b.Next(ended, ended)
	if b.Delay != firstDelay {
		t.Errorf("after a long life: delay %s", b.Delay)
	}
}

func TestBackoffRestored(t *testing.T) {
	started := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for attempt, want := range map[uint32]time.Duration{0: 0, 1: 10, 2: 20, 5: 160, 6: 300, 1000: 300} {
		if got := Restored(attempt, started).Delay; got != want*time.Second {
			t.Errorf("attempt %d: delay %s, want %d s", attempt, got, want)
		}
	}
}

func TestRetryGrows(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var r Retry
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		r.Later(now, time.Second, 10*time.Second)
		if r.Delay != want*time.Second || !r.Until.Equal(now.Add(r.Delay)) {
			t.Errorf("pause %d: %+v, want %d s", i, r, want)
		}
	}
}

func TestSooner(t *testing.T) {
	for _, tt := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {0, 3, 3}, {3, 0, 3}, {2, 3, 2}, {3, 2, 2}} {
		if got := Sooner(tt.a, tt.b); got != tt.want {
			t.Errorf("of %d and %d: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
