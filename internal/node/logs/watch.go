package logs

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"laterna.dev/laterna/internal/clock"
)

const (
	// recheck bounds how long the end of a container goes unnoticed: it writes
	// nothing to the log.
	recheck = 500 * time.Millisecond
	// poll is used when the machine has no inotify instance left.
	poll = 100 * time.Millisecond
)

// watch waits for changes in a directory.
type watch struct {
	inotify *fsnotify.Watcher
	ticker  clock.Ticker
}

func newWatch(dir string, clk clock.Wall) *watch {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		err = w.Add(dir)
	}
	if err != nil {
		if w != nil {
			w.Close()
		}
		return &watch{ticker: clk.NewTicker(poll)}
	}
	return &watch{inotify: w, ticker: clk.NewTicker(recheck)}
}

// wait returns when something may have changed, or with ctx's error.
func (w *watch) wait(ctx context.Context) error {
	var events <-chan fsnotify.Event
	if w.inotify != nil {
		events = w.inotify.Events
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ticker.C():
	case <-events:
	}
	for { // what has come up to now needs one look, not one each
		select {
		case <-events:
		default:
			return nil
		}
	}
}

func (w *watch) close() {
	w.ticker.Stop()
	if w.inotify != nil {
		w.inotify.Close()
	}
}
