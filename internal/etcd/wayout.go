package etcd

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// wayOut says what a person does about a store in dir that err keeps from being opened.
func wayOut(dir string, err error) string {
	locked := (*lockedError)(nil)
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &locked):
		return "end that process (`laterna down`, if it is a laterna), or choose another --data-dir"
	case is(unix.ENOSPC, unix.EDQUOT):
		return "make room there and start again: what was acknowledged is still there"
	case is(unix.EFBIG):
		return "raise the limit on the size of files (ulimit -f) and start again: what was acknowledged is still there"
	case is(unix.EROFS):
		return "make its file system writable, or choose another --data-dir"
	case is(fs.ErrPermission):
		return "run as the user who owns it, or choose another --data-dir"
	case is(unix.EMFILE, unix.ENFILE):
		return "raise the limit on open files (ulimit -n) and start again: what was acknowledged is still there"
	case is(unix.ENOMEM):
		return "raise the limit on memory (ulimit -v), or end what takes it, and start again: what was acknowledged is still there"
	case is(errSlow):
		return "start again when the disk has less to do: what was acknowledged is still there"
	case strings.Contains(err.Error(), "downgrade"):
		return "use the newer laterna that wrote it, or choose another --data-dir"
	}
	return "it is damaged: put a copy of the data directory in its place, or move " + dir + " away to start with an empty store, without any object"
}
