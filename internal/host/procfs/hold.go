package procfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Held is one process, held by a descriptor: its number may be given to another
// process once it has ended, the descriptor never is.
type Held struct {
	fd, pid int
}

// Hold holds the process that has the number now. Its error is fs.ErrNotExist when
// there is none. The caller closes it.
func Hold(pid int) (*Held, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: a thread took the number
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	return &Held{fd, pid}, nil
}

// Close gives the process up.
func (h *Held) Close() error { return unix.Close(h.fd) }

// PID is the process's number; it is the process's own only while Alive.
func (h *Held) PID() int { return h.pid }

// Descriptor is the pidfd, valid until Close.
func (h *Held) Descriptor() int { return h.fd }

// Alive tells whether the process still runs; a zombie does not.
func (h *Held) Alive() bool {
	set := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(set, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 0
		}
	}
}

// Signal sends sig to the process. Its error is fs.ErrNotExist when it has ended.
func (h *Held) Signal(sig unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("signalling process %d: %w", h.pid, err)
	}
	return nil
}

// Wait returns once the process has ended, or with ctx's error.
func (h *Held) Wait(ctx context.Context) error {
	fd, err := unix.FcntlInt(uintptr(h.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("waiting for process %d: %w", h.pid, err)
	}
	return waitReadable(ctx, fd)
}

// InGroup tells whether the process runs in a control group that is named after id,
// as container runtimes name those of their containers: <id> or <prefix>-<id>.scope.
// Its error is fs.ErrNotExist when the process has ended.
func (h *Held) InGroup(id string) (bool, error) {
	raw, err := bounded.File(fmt.Sprintf("/proc/%d/cgroup", h.pid), bounded.Document)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("reading the control groups of process %d: %w", h.pid, err)
	}
	if err != nil || !h.Alive() { // or it was read of another process
		return false, fs.ErrNotExist
	}
	return inGroup(raw, id), nil
}

// inGroup reads /proc/<pid>/cgroup (cgroups(7)).
func inGroup(raw []byte, id string) bool {
	if id == "" {
		return false
	}
	for line := range bytes.Lines(raw) {
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) < 3 {
			continue
		}
		for segment := range strings.SplitSeq(fields[2], "/") {
			name := strings.TrimSuffix(segment, ".scope")
			if name == id || strings.HasSuffix(name, "-"+id) {
				return true
			}
		}
	}
	return false
}
