package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// lockedError says that another process has the store.
type lockedError struct {
	file string
	// holder is the process, 0 when it cannot be told.
	holder  int
	program string
}

// Error implements error.
func (e *lockedError) Error() string {
	if e.holder == 0 {
		return e.file + " is locked by another process"
	}
	return fmt.Sprintf("%s is locked by process %d (%s)", e.file, e.holder, e.program)
}

// checkLocks returns a *lockedError when another process holds the database or the log.
// The library waits for the first without an end, and does not say who holds the second.
func checkLocks(db, wal string) error {
	if err := checkLock(db, func(f *os.File) error {
		return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) // ends with the descriptor
	}); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(wal, "*.wal"))
	if err != nil {
		return err
	}
	for _, file := range logs {
		if err := checkLock(file, func(f *os.File) error {
			lock := unix.Flock_t{Type: unix.F_WRLCK}
			err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
			if err == nil && lock.Type != unix.F_UNLCK {
				return unix.EWOULDBLOCK
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func checkLock(file string, try func(*os.File) error) error {
	// Not blocking, as a pipe may have the name.
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is not a regular file", file))
	}
	if err := try(f); !errors.Is(err, unix.EWOULDBLOCK) {
		return nil // a file system without locks: the library tells
	}
	e := &lockedError{file: file}
	e.holder, e.program = holder(file)
	return e
}

// holder finds the process that has a file open, as far as this process may look.
func holder(file string) (pid int, program string) {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != file {
			continue
		}
		parts := strings.Split(link, "/")
		if pid, _ = strconv.Atoi(parts[2]); pid == os.Getpid() {
			continue
		}
		name, _ := bounded.File(filepath.Join("/proc", parts[2], "comm"), bounded.Small)
		return pid, strings.TrimSpace(string(name))
	}
	return 0, ""
}
