package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// answering is a runtime that answers so.
type answering struct {
	pid int
	err error
}

func (a answering) ContainerPID(context.Context, string) (int, error) { return a.pid, a.err }

func (a answering) ExecSync(context.Context, string, []string, time.Duration) (cri.ExecResult, error) {
	return cri.ExecResult{ExitCode: 3, Stdout: []byte("out")}, a.err
}

func TestExecSpeaksTheWordsOfUpdates(t *testing.T) {
	for name, tt := range map[string]struct{ err, want error }{
		"ends":         {nil, nil},
		"takes long":   {fmt.Errorf("exec: %w", cri.ErrTimeout), onupdate.ErrTimeout},
		"cannot be":    {fmt.Errorf("exec: %w", cri.ErrUnavailable), onupdate.ErrUnavailable},
		"prints a lot": {fmt.Errorf("exec: %w", cri.ErrTooLong), onupdate.ErrTooLong},
	} {
		got, err := Exec(t.Context(), answering{err: tt.err}, "c", []string{"true"}, time.Second)
		if !errors.Is(err, tt.want) || got.ExitCode != 3 || string(got.Stdout) != "out" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := Exec(t.Context(), answering{err: errors.New("no such program")}, "c", nil, time.Second); err == nil || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("error %v", err)
	}
}

func TestContainerWithoutAProcess(t *testing.T) {
	gone := answering{err: cri.ErrNotFound}
	if _, err := Hold(t.Context(), gone, "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("held: %v", err)
	}
	if err := Signal(t.Context(), gone, clock.RealClock{}, "c", "SIGHUP"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("signalled: %v", err)
	}
	if err := Signal(t.Context(), gone, clock.RealClock{}, "c", "SIGNONE"); err == nil || err.Error() != "this machine has no signal SIGNONE" {
		t.Errorf("signalled: %v", err)
	}
}

// TestNumberOfAnotherProcess has a runtime that names a process of somebody else: its
// container has ended and the number was given away.
func TestNumberOfAnotherProcess(t *testing.T) {
	if _, err := Hold(t.Context(), answering{pid: os.Getpid()}, "0123456789abcdef"); err == nil || !strings.Contains(err.Error(), "is not in a control group of the container") {
		t.Errorf("held: %v", err)
	}
}

// seen is a process that is seen so, look after look; the last for good.
type seen struct {
	looks []procfs.Handling
	n     int
}

func (s *seen) Handling(unix.Signal) (procfs.Handling, error) {
	s.n++
	return s.looks[min(s.n, len(s.looks))-1], nil
}

// TestSignalsAreNotSentToAProcessThatForks has processes that block a signal: for good,
// which is to wait for it, and for the moment of a fork, which is not.
func TestSignalsAreNotSentToAProcessThatForks(t *testing.T) {
	for name, tt := range map[string]struct {
		looks []procfs.Handling
		want  bool
	}{
		"has a handler":                     {[]procfs.Handling{procfs.Caught}, true},
		"has none":                          {[]procfs.Handling{procfs.Unhandled}, false},
		"waits for it":                      {[]procfs.Handling{procfs.Blocked}, true},
		"forks":                             {[]procfs.Handling{procfs.Blocked, procfs.Blocked, procfs.Unhandled}, false},
		"forks before it has set a handler": {[]procfs.Handling{procfs.Blocked, procfs.Caught}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, err := handles(t.Context(), &seen{looks: tt.looks}, clock.RealClock{}, unix.SIGHUP); err != nil || got != tt.want {
					t.Errorf("%v, %v", got, err)
				}
			})
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := handles(ended, &seen{looks: []procfs.Handling{procfs.Blocked}}, clock.RealClock{}, unix.SIGHUP); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
