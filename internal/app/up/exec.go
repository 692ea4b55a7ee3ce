package up

import (
	"os"
	"time"

	"laterna.dev/laterna/internal/host/procfs"
)

// sinceExec returns the time from the start of this process to now, to 10 ms. Where
// /proc does not tell, it returns 0.
func sinceExec(now time.Time) time.Duration {
	self, err := procfs.Get(os.Getpid())
	if err != nil {
		return 0
	}
	started, err := self.Started(now)
	if err != nil {
		return 0
	}
	return now.Sub(started)
}
