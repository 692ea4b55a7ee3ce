package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Stopper stops containers with the signals that their pods want (KEP-4960). Runtimes that
// do not know those, such as containerd 1.6, would send that of the image.
type Stopper struct {
	Runtime interface {
		Runtime
		StopContainer(ctx context.Context, id string, grace time.Duration) error
	}
	Log *slog.Logger
}

// Stop has a container end itself within its grace period, in whole seconds, and kills it
// then. It returns once the container has stopped; ending ctx leaves it to a later call.
// It may be called again.
func (s Stopper) Stop(ctx context.Context, c cri.Container, grace time.Duration) error {
	signal := c.Annotations[lifecycle.AnnotationStopSignal]
	if signal != "" && signal != c.StopSignal && grace > 0 {
		err := s.end(ctx, c.ID, signal, grace)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			grace = 0 // which it has had
		case !errors.Is(err, fs.ErrNotExist):
			s.Log.Warn("container is stopped with the signal of its image", "container", c.Name, "id", c.ID, "wanted", signal, "error", err)
		}
	}
	return s.Runtime.StopContainer(ctx, c.ID, grace)
}

// end sends a signal to a container's first process, as runtimes do, and waits until that
// has ended or its grace period is over. The error is fs.ErrNotExist when it does not run.
func (s Stopper) end(ctx context.Context, id, name string, grace time.Duration) error {
	signal := number(name)
	if signal == 0 {
		return fmt.Errorf("this machine has no signal %s", name)
	}
	held, err := Hold(ctx, s.Runtime, id)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := held.Signal(signal); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := held.Wait(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// The signals from firstRealTime to lastRealTime have numbers for names. The C library
// keeps the two below for itself.
const firstRealTime, lastRealTime = 34, 64

// number is a signal of this machine, 0 when it has none of the name.
func number(name string) unix.Signal {
	switch name {
	case "SIGCLD":
		return unix.SIGCHLD
	case "SIGIOT":
		return unix.SIGABRT
	case "SIGPOLL":
		return unix.SIGIO
	}
	if above, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		return realTime(firstRealTime, above)
	}
	if below, ok := strings.CutPrefix(name, "SIGRTMAX"); ok {
		return realTime(lastRealTime, below)
	}
	return unix.SignalNum(name)
}

func realTime(from int, offset string) unix.Signal {
	n := 0
	if offset != "" {
		var err error
		if n, err = strconv.Atoi(offset); err != nil {
			return 0
		}
	}
	if n += from; n < firstRealTime || n > lastRealTime {
		return 0
	}
	return unix.Signal(n)
}
