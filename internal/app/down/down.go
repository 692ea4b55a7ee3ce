// Package down ends a system and removes what it made on the machine.
//
// It owns the order: the process, then what it left behind, then the data. What is on a
// machine, and how it is removed, lives in internal/hostresources.
package down

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"laterna.dev/laterna/internal/app/up"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/hostresources"
	"laterna.dev/laterna/internal/log"
	"laterna.dev/laterna/internal/wait"
)

const (
	// ContainerGrace is how long containers usually get between SIGTERM
	// and SIGKILL.
	ContainerGrace = 10 * time.Second
	// lockPoll is how often it is looked whether the running process has ended.
	lockPoll = 10 * time.Millisecond
)

// Options say what is stopped and removed.
type Options struct {
	DataDir string
	// Grace is how long containers get between SIGTERM and SIGKILL.
	Grace time.Duration
	// Purge removes the data directory too.
	Purge bool
}

// Run stops the laterna that runs on the data directory, its containers and its
// containerd, and removes everything they made on the host. It is no error when
// nothing runs. stdout gets a line that says what became of it, stderr the log.
func Run(ctx context.Context, options Options, stdout, stderr io.Writer) error {
	logger := log.New(stderr, 0)
	log.BridgeLibraries(logger, 0)
	return down(ctx, options, stdout, logger)
}

// RunAsGuest is Run in a process that is not for this alone, see up.RunAsGuest.
func RunAsGuest(ctx context.Context, options Options, log *slog.Logger) error {
	return down(ctx, options, io.Discard, log)
}

func down(ctx context.Context, options Options, stdout io.Writer, logger *slog.Logger) error {
	dir, err := datadir.Locate(options.DataDir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir.Path); errors.Is(err, os.ErrNotExist) {
		return sweep(ctx, dir, options, stdout, logger)
	}
	if err := dir.Check(); err != nil {
		return err
	}
	if !dir.Begun() && dir.Owner() == 0 {
		return sweep(ctx, dir, options, stdout, logger)
	}
	ran, release, err := stopOwner(ctx, dir, clock.Real())
	if err != nil {
		return err
	}
	defer release()
	left, err := hostresources.List(ctx, dir)
	if err != nil {
		return err
	}
	if err := hostresources.RemoveAll(ctx, dir, options.Grace, clock.Real(), logger); err != nil {
		return err
	}
	kept, removed := "stopped; the data stays", "stopped and removed"
	if !ran && len(left) == 0 {
		kept, removed = "nothing was running; the data stays", "nothing was running; removed"
	}
	if !options.Purge {
		fmt.Fprintf(stdout, "%s in %s (--purge removes it)\n", kept, dir.Path)
		return nil
	}
	if err := dir.Purge(); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s %s\n", removed, dir.Path)
	return nil
}

// sweep removes what a data directory that is gone, or was never used, has left on the host.
func sweep(ctx context.Context, dir datadir.Dir, options Options, stdout io.Writer, logger *slog.Logger) error {
	left, err := hostresources.List(ctx, dir)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		fmt.Fprintf(stdout, "nothing to stop: no system was started on %s\n", dir.Path)
		return nil
	}
	if err := hostresources.RemoveAll(ctx, dir, options.Grace, clock.Real(), logger); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "removed what %s had left on this machine\n", dir.Path)
	return nil
}

// stopOwner ends the process that runs on dir, tells whether there was one, and takes its
// lock. A process that has only just taken the lock is asked as soon as it has left its
// number.
func stopOwner(ctx context.Context, dir datadir.Dir, wall clock.Wall) (ran bool, release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*up.StopTimeout)
	defer cancel()
	asked := 0
	for {
		release, err := dir.Lock()
		if !errors.Is(err, datadir.ErrLocked) {
			return ran, release, err
		}
		ran = true
		if pid := dir.Owner(); pid > 0 && pid != asked {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
				return ran, nil, fmt.Errorf("stopping process %d: %w", pid, err)
			}
			asked = pid
		}
		if !wait.Pause(ctx, wall, lockPoll) {
			return ran, nil, fmt.Errorf("waiting for process %d to end: %w", asked, err)
		}
	}
}
