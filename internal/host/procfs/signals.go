package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Handles tells whether the process does something of its own with a signal: it has a
// handler, or blocks the signal and so takes it when it likes. Others ignore it or are
// ended by it. Its error is fs.ErrNotExist when the process has ended.
func (h *Held) Handles(sig unix.Signal) (bool, error) {
	raw, err := bounded.File(fmt.Sprintf("/proc/%d/status", h.pid), bounded.Document)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("reading the signals of process %d: %w", h.pid, err)
	}
	if err != nil || !h.Alive() { // or it was read of another process
		return false, fs.ErrNotExist
	}
	return handles(raw, sig)
}

// handles reads the masks of /proc/<pid>/status (proc_pid_status(5)).
func handles(raw []byte, sig unix.Signal) (bool, error) {
	found := false
	for line := range bytes.Lines(raw) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if n := string(name); n != "SigCgt" && n != "SigBlk" {
			continue
		}
		mask, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		if err != nil {
			return false, fmt.Errorf("reading signals: %w", err)
		}
		if mask&(1<<(sig-1)) != 0 {
			return true, nil
		}
		found = true
	}
	if !found {
		return false, errors.New("reading signals: no masks")
	}
	return false, nil
}
