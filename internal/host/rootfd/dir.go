//go:build linux

package rootfd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a handle on a directory or, from OpenAny and Resolve, on any file. It stays on the same
// file whatever is renamed. Its methods may be called concurrently.
type Dir struct {
	fd   int
	name string // for errors
}

const (
	// beneath follows links as long as they stay below the handle.
	beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
	// plain follows none.
	plain = beneath | unix.RESOLVE_NO_SYMLINKS
)

// Open opens a directory by path; links in the path are followed.
func Open(path string) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{fd, path}, nil
}

// OpenAny opens whatever is at a path; links in the path are followed. Nothing is read or
// started by it: a device or a pipe is only looked at.
func OpenAny(path string) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{fd, path}, nil
}

// Close gives the handle back.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Name is the path of the handle when it was opened, for messages.
func (d *Dir) Name() string { return d.name }

// open is openat2 that tries again when a rename elsewhere disturbed it.
func (d *Dir) open(name string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	for range 1000 {
		fd, err := unix.Openat2(d.fd, name, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

func (d *Dir) child(name string, flags int, resolve uint64) (*Dir, error) {
	fd, err := d.open(name, flags, resolve)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return &Dir{fd, path.Join(d.name, name)}, nil
}

func (d *Dir) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: path.Join(d.name, name), Err: err}
}

// Sub opens a directory below d. No link is followed.
func (d *Dir) Sub(name string) (*Dir, error) {
	return d.child(name, unix.O_PATH|unix.O_DIRECTORY, plain)
}

// MkdirAll makes the directory name and its parents with exactly mode, and setgid as
// inherited, where they are missing, and opens it. No link is followed.
func (d *Dir) MkdirAll(name string, mode fs.FileMode) (*Dir, error) {
	at, err := d.child(".", unix.O_PATH|unix.O_DIRECTORY, plain)
	if err != nil {
		return nil, err
	}
	for segment := range strings.SplitSeq(path.Clean(name), "/") {
		next, err := at.mkdir(segment, mode)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// mkdir opens the directory segment, making it if it is missing.
func (d *Dir) mkdir(segment string, mode fs.FileMode) (*Dir, error) {
	err := unix.Mkdirat(d.fd, segment, 0o700)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, d.fail("mkdir", segment, err)
	}
	next, openErr := d.child(segment, unix.O_PATH|unix.O_DIRECTORY, plain)
	if openErr != nil || err != nil {
		return next, openErr
	}
	st, err := next.Stat()
	if st.Mode&unix.S_ISGID != 0 {
		mode |= os.ModeSetgid
	}
	if err = errors.Join(err, next.Chmod(mode)); err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// Lookup opens whatever is at name, following links that stay below d.
func (d *Dir) Lookup(name string) (*Dir, error) { return d.child(name, unix.O_PATH, beneath) }

// Resolve is Lookup that makes missing directories, the last one included, with
// exactly mode.
func (d *Dir) Resolve(name string, mode fs.FileMode) (*Dir, error) {
	found, err := d.Lookup(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	parent, last := path.Split(path.Clean(name))
	at := d
	if parent != "" {
		if at, err = d.Resolve(path.Clean(parent), mode); err != nil {
			return nil, err
		}
		defer at.Close()
	}
	return at.mkdir(last, mode)
}

// Stat describes the file itself.
func (d *Dir) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return st, d.fail("stat", "", err)
	}
	return st, nil
}

// IsDir tells whether the handle is on a directory.
func (d *Dir) IsDir() (bool, error) {
	st, err := d.Stat()
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

// Empty tells whether the directory has no entries.
func (d *Dir) Empty() (bool, error) {
	some, err := list(d.fd)
	if err != nil {
		return false, d.fail("list", "", err)
	}
	return len(some) == 0, nil
}

// Chmod sets the permission bits, setgid and sticky of the file itself.
func (d *Dir) Chmod(mode fs.FileMode) error {
	bits := uint32(mode.Perm())
	if mode&os.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&os.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	// fchmod refuses O_PATH handles; the magic link leads to this very file.
	if err := unix.Chmod(d.Path(), bits); err != nil {
		return d.fail("chmod", "", err)
	}
	return nil
}

// Chown gives the file itself to uid and gid; -1 leaves one as it is.
func (d *Dir) Chown(uid, gid int) error {
	if err := unix.Fchownat(d.fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return d.fail("chown", "", err)
	}
	return nil
}

// Path is a path to the handle for this process and as long as the handle is open,
// for calls that take no handle.
func (d *Dir) Path() string { return fmt.Sprintf("/proc/self/fd/%d", d.fd) }

// Touch makes an empty file below d, or opens the one that is there. No link is
// followed.
func (d *Dir) Touch(name string) (*Dir, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_CREAT|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, d.fail("create", name, err)
	}
	unix.Close(fd)
	return d.child(name, unix.O_PATH, plain)
}

// Create makes an empty file of exactly this mode below d. The error is fs.ErrExist when
// something is there, also a link that leads nowhere.
func (d *Dir) Create(name string, mode fs.FileMode) (*Dir, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, d.fail("create", name, err)
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, uint32(mode.Perm())); err != nil {
		return nil, d.fail("chmod", name, err)
	}
	return d.child(name, unix.O_PATH, plain)
}
