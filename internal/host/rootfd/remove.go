//go:build linux

package rootfd

import (
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the handles that RemoveAll holds at once. Deeper directories are
// first moved to the top of the tree.
const maxDepth = 64

// RemoveAll removes name below d with all that is in it. It follows no link and does
// not enter what is mounted there: a mount makes it fail with EXDEV or EBUSY and is
// left alone. A missing name is no error.
func (d *Dir) RemoveAll(name string) error {
	err := unix.Unlinkat(d.fd, name, 0)
	switch {
	case err == nil || errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM):
		return d.fail("remove", name, err)
	}
	r := remover{}
	if r.top, err = r.enter(d.fd, name); err != nil {
		return d.fail("remove", name, err)
	}
	defer unix.Close(r.top)
	for again := true; again; {
		r.moved = false
		if err := r.empty(r.top, 0); err != nil {
			return d.fail("remove", name, err)
		}
		again = r.moved
	}
	if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil {
		return d.fail("remove", name, err)
	}
	return nil
}

type remover struct {
	top   int
	count int
	moved bool
}

// enter opens a directory to read it.
func (r *remover) enter(parent int, name string) (int, error) {
	return (&Dir{fd: parent}).open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, plain|unix.RESOLVE_NO_XDEV)
}

// empty removes the entries of the directory fd, which is depth below the top.
func (r *remover) empty(fd, depth int) error {
	for {
		names, err := list(fd)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := r.remove(fd, name, depth); err != nil {
				return err
			}
		}
		if r.moved && fd == r.top {
			return nil // what was moved here has its turn in the next round
		}
	}
}

func (r *remover) remove(parent int, name string, depth int) error {
	err := unix.Unlinkat(parent, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	if depth >= maxDepth {
		return r.lift(parent, name)
	}
	fd, err := r.enter(parent, name)
	if err != nil {
		return err
	}
	err = r.empty(fd, depth+1)
	unix.Close(fd)
	if err != nil {
		return err
	}
	return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
}

// lift moves a directory to the top of the tree.
func (r *remover) lift(parent int, name string) error {
	r.moved = true
	for {
		r.count++
		err := unix.Renameat(parent, name, r.top, "..deep-"+strconv.Itoa(r.count))
		if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
	}
}

// list returns some entries of a directory, none when it is empty.
func list(fd int) ([]string, error) {
	dup, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(dup), ".")
	defer f.Close()
	names, err := f.Readdirnames(1024)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
