//go:build linux

package rootfd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// blockSize is the unit of a file's blocks, whatever its file system.
const blockSize = 512

// Usage adds up what the directory and all below it take of their file system, in
// bytes: blocks in use, each file once however many names it has. Links are not
// followed and other file systems are left out. It stops as soon as the sum is over
// enough, and returns what it has got with ctx's error when that ends first. What is
// moved or removed meanwhile may be missing.
func (d *Dir) Usage(ctx context.Context, enough int64) (int64, error) {
	fd, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY, plain)
	if err != nil {
		return 0, d.fail("open", "", err)
	}
	m := meter{ctx: ctx, fd: fd, enough: enough, seen: map[place]struct{}{}}
	defer func() { unix.Close(m.fd) }()
	if err := m.walk(); err != nil {
		return m.sum, fmt.Errorf("measuring %s: %w", d.name, err)
	}
	return m.sum, nil
}

// place tells files apart.
type place struct{ dev, ino uint64 }

func placeOf(st *unix.Stat_t) place { return place{uint64(st.Dev), st.Ino} }

// meter walks a tree with one handle, so that no depth is too deep for it.
type meter struct {
	ctx    context.Context
	fd     int
	levels []level // from the top to fd
	sum    int64
	enough int64
	seen   map[place]struct{} // files with several names
}

// level is a directory on the way.
type level struct {
	place
	left []string // directories in it that are still to be entered
}

var errMoved = errors.New("a directory was moved meanwhile")

func (m *meter) walk() error {
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		return err
	}
	if err := m.enter(&st); err != nil {
		return err
	}
	for m.sum <= m.enough {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		top := &m.levels[len(m.levels)-1]
		if n := len(top.left); n > 0 {
			name := top.left[n-1]
			top.left = top.left[:n-1]
			if err := m.down(name); err != nil {
				return err
			}
			continue
		}
		if len(m.levels) == 1 {
			return nil
		}
		if err := m.up(); err != nil {
			return err
		}
	}
	return nil
}

// down goes into a directory, unless it is gone or on another file system.
func (m *meter) down(name string) error {
	fd, err := unix.Openat(m.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || uint64(st.Dev) != m.levels[0].dev {
		unix.Close(fd)
		return err
	}
	unix.Close(m.fd)
	m.fd = fd
	return m.enter(&st)
}

// up goes back, and refuses to be anywhere but where it came from.
func (m *meter) up() error {
	m.levels = m.levels[:len(m.levels)-1]
	fd, err := unix.Openat(m.fd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.Close(m.fd)
	m.fd = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if placeOf(&st) != m.levels[len(m.levels)-1].place {
		return errMoved
	}
	return nil
}

// enter counts the directory at fd and the files in it.
func (m *meter) enter(st *unix.Stat_t) error {
	m.sum += st.Blocks * blockSize
	m.levels = append(m.levels, level{place: placeOf(st)})
	left := &m.levels[len(m.levels)-1].left
	dup, err := unix.FcntlInt(uintptr(m.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(dup), "")
	defer dir.Close()
	for m.sum <= m.enough && m.ctx.Err() == nil {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if m.count(name) {
				*left = append(*left, name)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count adds a file, and tells whether the name is a directory's instead.
func (m *meter) count(name string) (isDir bool) {
	var st unix.Stat_t
	if unix.Fstatat(m.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) != nil {
		return false // gone
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return true
	}
	if st.Nlink > 1 {
		if _, seen := m.seen[placeOf(&st)]; seen {
			return false
		}
		m.seen[placeOf(&st)] = struct{}{}
	}
	m.sum += st.Blocks * blockSize
	return false
}
