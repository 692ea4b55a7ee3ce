package up

import (
	"testing"
	"time"
)

// TestSinceExecIsNotMovedWithTheWallClock: a machine whose clock is set while the system
// starts is told the time that it took.
func TestSinceExecIsNotMovedWithTheWallClock(t *testing.T) {
	now := time.Now()
	since := sinceExec(now)
	if since <= 0 || since > time.Hour {
		t.Errorf("this process runs for %v", since)
	}
	if later := sinceExec(now.Add(time.Hour)) - since; later < 0 || later > time.Minute {
		t.Errorf("with the clock an hour ahead, %v more", later)
	}
}
