package containerd

import (
	"context"
	"fmt"
	"time"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/wait"
)

var restarts = wait.Backoff{First: 100 * time.Millisecond, Most: 10 * time.Second}

// Supervise starts the daemon again whenever it ends by itself, until ctx ends. It
// is called after Start and returns when ctx has ended; the daemon then runs on.
func (d *Daemon) Supervise(ctx context.Context) {
	for ends := 1; ctx.Err() == nil; ends++ {
		started := d.cfg.Clock.Now()
		if d.current().Wait(ctx) != nil {
			return
		}
		if d.cfg.Clock.Since(started) > time.Minute {
			ends = 1
		}
		delay := restarts.After(ends)
		d.cfg.Log.Error("containerd ended, starting it again", "pid", d.current().PID, "log", d.logFile(), "delay", delay)
		if !wait.Pause(ctx, d.cfg.Clock, delay) {
			return
		}
		if _, err := d.Start(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("containerd does not start", "error", err)
		}
	}
}

func (d *Daemon) current() procfs.Process {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.process
}

// Status is what is known of the daemon from outside, also by another process than
// the one that started it.
type Status struct {
	Running bool
	PID     int
	// Started is when the daemon was started, to the precision of 10 ms.
	Started time.Time
	// Pods is how many sandboxes have a shim.
	Pods int
}

// Status looks for the daemon and the shims of this run directory.
func (d *Daemon) Status() (Status, error) {
	running, err := d.find()
	if err != nil {
		return Status{}, fmt.Errorf("looking for containerd: %w", err)
	}
	shims, err := d.shims()
	if err != nil {
		return Status{}, fmt.Errorf("looking for shims: %w", err)
	}
	s := Status{Pods: len(shims)}
	if len(running) == 0 {
		return s, nil
	}
	s.Running, s.PID = true, running[0].PID
	s.Started, err = running[0].Started(d.cfg.Clock.Now())
	return s, err
}
