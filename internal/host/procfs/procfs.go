// Package procfs finds processes by what /proc says of them and ends them.
//
// It owns the reading of /proc/<pid> and signals that cannot hit a process that
// took over a number; which processes to look for lives with the callers.
package procfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Process is what /proc said of a process at the time of the look.
type Process struct {
	PID    int
	Parent int
	// Start is when the process started, in clock ticks since boot. With PID it
	// names one process for as long as the machine runs.
	Start uint64
	// Args is the command line; empty for kernel threads and zombies.
	Args []string
	// Zombie says that the process has ended and waits to be reaped.
	Zombie bool
}

// Arg returns the argument that follows name, or "" when name is not there.
func (p Process) Arg(name string) string {
	for i, a := range p.Args[:max(len(p.Args)-1, 0)] {
		if a == name {
			return p.Args[i+1]
		}
	}
	return ""
}

// Program is the last element of the first argument.
func (p Process) Program() string {
	if len(p.Args) == 0 {
		return ""
	}
	return filepath.Base(p.Args[0])
}

// Started returns the wall time at which the process started, to the precision of
// a clock tick (10 ms).
func (p Process) Started(now time.Time) (time.Time, error) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, fmt.Errorf("reading boot clock: %w", err)
	}
	const tick = time.Second / 100 // USER_HZ is 100 on every architecture of Linux
	return now.Add(time.Duration(p.Start)*tick - time.Duration(up.Nano())), nil
}

// Get returns the process with the given number. Its error is fs.ErrNotExist when
// there is none.
func Get(pid int) (Process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	raw, err := bounded.File(filepath.Join(dir, "stat"), bounded.Small)
	if err != nil {
		return Process{}, gone(err)
	}
	p, err := parseStat(raw)
	if err != nil {
		return Process{}, fmt.Errorf("reading %s/stat: %w", dir, err)
	}
	cmdline, err := bounded.Prefix(filepath.Join(dir, "cmdline"), mostArgs)
	if err != nil {
		return Process{}, gone(err)
	}
	if cmdline = bytes.TrimRight(cmdline, "\x00"); len(cmdline) > 0 {
		p.Args = strings.Split(string(cmdline), "\x00")
	}
	return p, nil
}

// gone turns the error of reading a process that ended meanwhile into ErrNotExist.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	return err
}

// parseStat reads /proc/<pid>/stat (proc_pid_stat(5)). The program's name may hold
// blanks and parentheses, so fields are counted from the last parenthesis.
func parseStat(raw []byte) (Process, error) {
	open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
	if open < 1 || end < open {
		return Process{}, errors.New("no program name")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw[:open])))
	if err != nil {
		return Process{}, fmt.Errorf("process number: %w", err)
	}
	fields := strings.Fields(string(raw[end+1:]))
	const state, parent, start = 0, 1, 19
	if len(fields) <= start {
		return Process{}, fmt.Errorf("%d fields after the name, want more than %d", len(fields), start)
	}
	p := Process{PID: pid, Zombie: fields[state] == "Z" || fields[state] == "X"}
	if p.Parent, err = strconv.Atoi(fields[parent]); err != nil {
		return Process{}, fmt.Errorf("parent: %w", err)
	}
	if p.Start, err = strconv.ParseUint(fields[start], 10, 64); err != nil {
		return Process{}, fmt.Errorf("start time: %w", err)
	}
	return p, nil
}

// mostArgs is how many bytes of a process's arguments are looked at: a process can make
// them as long as its memory.
const mostArgs = 128 << 10

// List returns every process that lives, zombies left out. Those that end while it
// reads are left out too.
func List() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var all []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := Get(pid); err == nil && !p.Zombie {
			all = append(all, p)
		}
	}
	return all, nil
}

// Find returns the living processes that match.
func Find(match func(Process) bool) ([]Process, error) {
	all, err := List()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, p := range all {
		if match(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// Descendants returns the processes of all whose ancestors include one of roots;
// the roots themselves are not among them.
func Descendants(all, roots []Process) []Process {
	in := make(map[int]bool, len(roots))
	for _, r := range roots {
		in[r.PID] = true
	}
	var found []Process
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if in[p.Parent] && !in[p.PID] {
				in[p.PID], grown = true, true
				found = append(found, p)
			}
		}
	}
	return found
}

// BootID names the run of the kernel; it changes with every reboot.
func BootID() (string, error) {
	raw, err := bounded.File("/proc/sys/kernel/random/boot_id", bounded.Small)
	if err != nil {
		return "", fmt.Errorf("reading boot id: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// Signal sends sig to exactly this process. A process that has ended already is no
// error.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := p.open()
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signalling process %d: %w", p.PID, err)
	}
	return nil
}

// Wait returns nil once the process has ended (a zombie has ended), or ctx's error.
// It holds one descriptor and no thread while it waits.
func (p Process) Wait(ctx context.Context) error {
	fd, err := p.open()
	if err != nil || fd < 0 {
		return err
	}
	return waitReadable(ctx, fd)
}

// End sends SIGTERM, waits up to grace, then sends SIGKILL to whoever is left and
// waits for them until ctx ends. With no grace SIGKILL comes at once.
func End(ctx context.Context, processes []Process, grace time.Duration) error {
	if grace > 0 {
		if err := signalAll(processes, unix.SIGTERM); err != nil {
			return err
		}
		patient, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		if waitAll(patient, processes) == nil {
			return nil
		}
	}
	if err := signalAll(processes, unix.SIGKILL); err != nil {
		return err
	}
	return waitAll(ctx, processes)
}

func signalAll(processes []Process, sig unix.Signal) error {
	var errs []error
	for _, p := range processes {
		errs = append(errs, p.Signal(sig))
	}
	return errors.Join(errs...)
}

func waitAll(ctx context.Context, processes []Process) error {
	for _, p := range processes {
		if err := p.Wait(ctx); err != nil {
			return fmt.Errorf("waiting for process %d (%s): %w", p.PID, p.Program(), err)
		}
	}
	return nil
}
