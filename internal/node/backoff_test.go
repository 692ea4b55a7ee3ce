package node

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b backoff
	now := start
	for i, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300} {
		want *= time.Second
		ended := now.Add(time.Second)
		if got := b.wait(ended, ended); got != want {
			t.Errorf("restart %d waits %s, want %s", i, got, want)
		}
		if want > 0 {
			if got := b.wait(ended, ended.Add(want-time.Second)); got != time.Second {
				t.Errorf("restart %d waits %s a second before its end", i, got)
			}
		}
		now = ended.Add(want)
		if got := b.wait(ended, now); got != 0 {
			t.Errorf("restart %d waits %s after its end", i, got)
		}
		b.next(ended, now)
	}
	ended := now.Add(resetAfter + time.Second)
	if got := b.wait(ended, ended); got != 0 {
		t.Errorf("after a long life: waits %s", got)
	}
	b.next(ended, ended)
	if b.delay != firstDelay {
		t.Errorf("after a long life: delay %s", b.delay)
	}
}

func TestBackoffRestored(t *testing.T) {
	started := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for attempt, want := range map[uint32]time.Duration{0: 0, 1: 10, 2: 20, 5: 160, 6: 300, 1000: 300} {
		if got := restored(attempt, started).delay; got != want*time.Second {
			t.Errorf("attempt %d: delay %s, want %d s", attempt, got, want)
		}
	}
}
