package process

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// stopping is a runtime that notes how long a container has to end itself.
type stopping struct {
	answering
	grace []time.Duration
}

func (s *stopping) StopContainer(_ context.Context, _ string, grace time.Duration) error {
	s.grace = append(s.grace, grace)
	return nil
}

// TestWhatCannotBeSignalledIsStoppedByTheRuntime with its whole grace period. That the
// signal arrives, and that the container is waited for, test/compat sees.
func TestWhatCannotBeSignalledIsStoppedByTheRuntime(t *testing.T) {
	for name, c := range map[string]struct {
		wants, knows string
		runtime      answering
		logged       string
	}{
		"no signal of its own":            {},
		"the runtime knows the signal":    {wants: "SIGUSR1", knows: "SIGUSR1", runtime: answering{err: fmt.Errorf("asked")}},
		"it has ended":                    {wants: "SIGUSR1", runtime: answering{err: cri.ErrNotFound}},
		"the runtime tells of no process": {wants: "SIGUSR1", runtime: answering{err: fmt.Errorf("what process")}, logged: "what process"},
		"no such signal":                  {wants: "SIGNONE", logged: "no signal SIGNONE"},
	} {
		var log bytes.Buffer
		r := &stopping{answering: c.runtime}
		s := Stopper{Runtime: r, Log: slog.New(slog.NewTextHandler(&log, nil))}
		container := cri.Container{ID: "c", StopSignal: c.knows, Annotations: map[string]string{lifecycle.AnnotationStopSignal: c.wants}}
		if err := s.Stop(t.Context(), container, 7*time.Second); err != nil || len(r.grace) != 1 || r.grace[0] != 7*time.Second {
			t.Errorf("%s: %v, stopped within %v, want 7s", name, err, r.grace)
		}
		if (log.Len() > 0) != (c.logged != "") || !strings.Contains(log.String(), c.logged) {
			t.Errorf("%s: logged %q, want %q", name, log.String(), c.logged)
		}
	}
}

func TestSignalsHaveNumbers(t *testing.T) {
	for name, want := range map[string]unix.Signal{
		"SIGTERM": 15, "SIGCLD": unix.SIGCHLD, "SIGIOT": unix.SIGABRT, "SIGPOLL": unix.SIGIO, "SIGSTKFLT": 16,
		"SIGRTMIN": 34, "SIGRTMIN+15": 49, "SIGRTMAX-14": 50, "SIGRTMAX": 64,
		"SIGRTMIN+x": 0, "SIGRTMIN-1": 0, "SIGRTMAX+1": 0, "SIGRTMIN+31": 0, "TERM": 0, "": 0,
	} {
		if got := number(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
