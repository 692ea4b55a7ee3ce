package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
	"laterna.dev/laterna/internal/wait"
)

// Runtime is the container runtime as this package asks it, see cri.Client.
type Runtime interface {
	ContainerPID(ctx context.Context, id string) (int, error)
	ExecSync(ctx context.Context, id string, command []string, timeout time.Duration) (cri.ExecResult, error)
}

// Hold holds the first process of a running container, which the caller closes. Its
// error is fs.ErrNotExist when the container does not run.
func Hold(ctx context.Context, r Runtime, id string) (*procfs.Held, error) {
	pid, err := r.ContainerPID(ctx, id)
	if errors.Is(err, cri.ErrNotFound) {
		return nil, fmt.Errorf("finding the process of container %s: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	held, err := procfs.Hold(pid)
	if err != nil {
		return nil, fmt.Errorf("finding the process of container %s: %w", id, err)
	}
	// The runtime may not know yet that the process ended and its number was given to
	// another.
	ok, err := held.InGroup(id)
	if err == nil && !ok {
		err = fmt.Errorf("process %d is not in a control group of the container", pid)
	}
	if err != nil {
		held.Close()
		return nil, fmt.Errorf("finding the process of container %s: %w", id, err)
	}
	return held, nil
}

// blockedLooks is how often in a row, blockedPause apart, a signal must be seen blocked
// until that counts as the process's own wish: forks block signals for less.
const (
	blockedLooks = 6
	blockedPause = 10 * time.Millisecond
)

// Signal signals a container's first process and no other. Its error is
// onupdate.ErrUnhandled when the process would ignore the signal or be ended by it.
func Signal(ctx context.Context, r Runtime, wall wait.Timers, id, name string) error {
	sig := unix.SignalNum(name)
	if sig == 0 {
		return fmt.Errorf("this machine has no signal %s", name)
	}
	held, err := Hold(ctx, r, id)
	if err != nil {
		return err
	}
	defer held.Close()
	handled, err := handles(ctx, held, wall, sig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the container's main process has ended")
	case err != nil:
		return err
	case !handled:
		return onupdate.ErrUnhandled
	}
	return held.Signal(sig)
}

// handles tells whether a process does something of its own with a signal.
func handles(ctx context.Context, held handler, wall wait.Timers, sig unix.Signal) (bool, error) {
	for look := 1; ; look++ {
		got, err := held.Handling(sig)
		if err != nil || got != procfs.Blocked {
			return got == procfs.Caught, err
		}
		if look == blockedLooks {
			return true, nil
		}
		if !wait.Pause(ctx, wall, blockedPause) {
			return false, ctx.Err()
		}
	}
}

// handler is a process that is asked what it does with a signal, see procfs.Held.
type handler interface {
	Handling(sig unix.Signal) (procfs.Handling, error)
}

// Exec runs a command in a running container. Its error is one of onupdate's, or what
// the runtime says.
func Exec(ctx context.Context, r Runtime, id string, command []string, timeout time.Duration) (onupdate.ExecResult, error) {
	out, err := r.ExecSync(ctx, id, command, timeout)
	switch {
	case errors.Is(err, cri.ErrTimeout):
		err = onupdate.ErrTimeout
	case errors.Is(err, cri.ErrUnavailable):
		err = onupdate.ErrUnavailable
	case errors.Is(err, cri.ErrTooLong):
		err = onupdate.ErrTooLong
	case err != nil:
		err = errors.New(cri.Message(err))
	}
	return onupdate.ExecResult(out), err
}
