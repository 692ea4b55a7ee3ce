package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Handling is what a process does with a signal.
type Handling int

const (
	// Unhandled signals are ignored, or end the process.
	Unhandled Handling = iota
	// Blocked signals wait until the process takes them, as with sigwait(3) and
	// signalfd(2). A process also blocks signals for a moment while it forks, and is
	// then ended by those it has no handler for: one look does not tell the two apart.
	Blocked
	// Caught signals have a handler.
	Caught
)

// Handling tells what the process does with a signal. Its error is fs.ErrNotExist when
// the process has ended.
func (h *Held) Handling(sig unix.Signal) (Handling, error) {
	raw, err := bounded.File(fmt.Sprintf("/proc/%d/status", h.pid), bounded.Document)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return Unhandled, fmt.Errorf("reading the signals of process %d: %w", h.pid, err)
	}
	if err != nil || !h.Alive() { // or it was read of another process
		return Unhandled, fs.ErrNotExist
	}
	return handling(raw, sig)
}

// reserved are the signals that a C library keeps to itself: programs cannot block them,
// so that only the library's own fork has them blocked.
const reserved = 1<<(32-1) | 1<<(33-1)

// starting is how the name of an OCI runtime's own process begins, which becomes the
// container's when it executes its program: runc:[2:INIT].
const starting = "runc:["

// handling reads the name and the masks of /proc/<pid>/status (proc_pid_status(5)).
func handling(raw []byte, sig unix.Signal) (Handling, error) {
	masks := map[string]uint64{}
	for line := range bytes.Lines(raw) {
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Name":
			if strings.HasPrefix(value, starting) {
				return Unhandled, nil
			}
		case "SigCgt", "SigBlk":
			mask, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return Unhandled, fmt.Errorf("reading signals: %w", err)
			}
			masks[name] = mask
		}
	}
	caught, hasCaught := masks["SigCgt"]
	blocked, hasBlocked := masks["SigBlk"]
	bit := uint64(1) << (sig - 1)
	switch {
	case !hasCaught || !hasBlocked:
		return Unhandled, errors.New("reading signals: no masks")
	case caught&bit != 0:
		return Caught, nil
	case blocked&bit != 0 && blocked&reserved != reserved:
		return Blocked, nil
	}
	return Unhandled, nil
}
