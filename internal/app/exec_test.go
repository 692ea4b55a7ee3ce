package app

import (
	"testing"
	"time"
)

func TestStartTimeOfOddNames(t *testing.T) {
	const rest = " S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 1000 10"
	for _, name := range []string{"laterna", "a b", "a) S (b", "))) ((("} {
		got, ok := startTime("42 (" + name + ")" + rest)
		if want := 123450 * time.Millisecond; !ok || got != want {
			t.Errorf("name %q: %v, %v; want %v", name, got, ok, want)
		}
	}
	for _, stat := range []string{"", "42 (x)", "42 (x) S 1 2", "42 (x) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 soon"} {
		if got, ok := startTime(stat); ok {
			t.Errorf("%q gives %v", stat, got)
		}
	}
}

func TestSinceExecGrowsWithTime(t *testing.T) {
	now := time.Now()
	since := sinceExec(now)
	if since <= 0 || since > time.Hour {
		t.Errorf("this process runs for %v", since)
	}
	if later := sinceExec(now.Add(time.Hour)) - since; later < time.Hour-time.Second || later > time.Hour+time.Second {
		t.Errorf("an hour later is %v later", later)
	}
}
