//go:build linux

package rootfd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

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
	bytes, _, err := d.taken(ctx, enough)
	return bytes, err
}

// Taken is Usage without an end, and with how many files and directories there are.
func (d *Dir) Taken(ctx context.Context) (bytes, files int64, err error) {
	return d.taken(ctx, math.MaxInt64)
}

func (d *Dir) taken(ctx context.Context, enough int64) (bytes, files int64, err error) {
	fd, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY, plain)
	if err != nil {
		return 0, 0, d.fail("open", "", err)
	}
	m := meter{ctx: ctx, fd: fd, enough: enough, seen: map[place]struct{}{}}
	defer func() { unix.Close(m.fd) }()
	if err := m.walk(); err != nil {
		return m.sum, m.files, fmt.Errorf("measuring %s: %w", d.name, err)
	}
	return m.sum, m.files, nil
}

// place tells files apart.
type place struct{ dev, ino uint64 }

func placeOf(st *unix.Stat_t) place { return place{uint64(st.Dev), st.Ino} }

// mostSeen is how many files with several names are remembered. Of further ones each
// name counts for its share.
const mostSeen = 1 << 17

// meter walks a tree with one handle, so that no depth is too deep for it, and holds no
// names, so that no directory is too wide.
type meter struct {
	ctx    context.Context
	fd     int
	levels []level // from the top to fd
	sum    int64
	files  int64
	enough int64
	seen   map[place]struct{} // files with several names

	buf     [8 << 10]byte
	entries []byte // of the directory fd, read and not looked at yet
}

// level is a directory on the way.
type level struct {
	place
	at int64 // where its entries go on, seek(2)
}

var errMoved = errors.New("a directory was moved meanwhile")

func (m *meter) walk() error {
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		return err
	}
	m.enter(&st)
	for m.sum <= m.enough {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		name, err := m.next()
		if err != nil {
			return err
		}
		if name != "" {
			if err := m.down(name); err != nil {
				return err
			}
			continue
		}
		if m.sum > m.enough || m.ctx.Err() != nil {
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
	m.enter(&st)
	return nil
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
	top := m.levels[len(m.levels)-1]
	if placeOf(&st) != top.place {
		return errMoved
	}
	m.entries = nil
	_, err = unix.Seek(m.fd, top.at, io.SeekStart)
	return err
}

// enter counts the directory at fd.
func (m *meter) enter(st *unix.Stat_t) {
	m.sum += st.Blocks * blockSize
	m.files++
	m.levels = append(m.levels, level{place: placeOf(st)})
	m.entries = nil
}

// next counts files of the directory at fd up to the next directory in it and returns
// that one's name, or "" when there is none.
func (m *meter) next() (string, error) {
	top := &m.levels[len(m.levels)-1]
	for m.sum <= m.enough && m.ctx.Err() == nil {
		if len(m.entries) == 0 {
			n, err := unix.Getdents(m.fd, m.buf[:])
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || n == 0 {
				return "", err
			}
			m.entries = m.buf[:n]
		}
		// struct linux_dirent64, getdents(2): inode, position of the next, length, type, name.
		const position, length, text = 8, 16, 19
		size := binary.NativeEndian.Uint16(m.entries[length:])
		top.at = int64(binary.NativeEndian.Uint64(m.entries[position:]))
		name := unix.ByteSliceToString(m.entries[text:size])
		m.entries = m.entries[size:]
		if name != "." && name != ".." && m.count(name) {
			return name, nil
		}
	}
	return "", nil
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
		if len(m.seen) == mostSeen {
			m.sum += st.Blocks * blockSize / int64(st.Nlink)
			return false
		}
		m.seen[placeOf(&st)] = struct{}{}
	}
	m.files++
	m.sum += st.Blocks * blockSize
	return false
}
