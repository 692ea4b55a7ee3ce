// Package reserve keeps a part of a file system out of use, bytes and inodes, until the
// file system is full: then it is given back, so that those who hold it can go on, and
// can be stopped and started.
//
// It owns the directory with the reserve, its size, and the look at the file system.
// Who is stopped when somebody takes too much is the node agent's business.
package reserve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/machine"
)

const (
	// most is the largest reserve that is taken unasked; mostFiles bounds the inodes.
	most, mostFiles = 64 << 20, 256
	// share is the part of a small file system that is taken, one of so many.
	share = 20
	// low is the part of the reserve below which the rest counts as nothing; so does what
	// is less than leastBytes and leastFiles, in which not even a start has place.
	low                    = 4
	leastBytes, leastFiles = 1 << 20, 8
)

// Amount is what is kept.
type Amount struct{ Bytes, Files uint64 }

// Default is a twentieth of the file system, at most 64 MiB and 256 inodes.
func Default(room machine.Room) Amount {
	return Amount{Bytes: min(most, room.AllBytes/share), Files: min(mostFiles, room.AllInodes/share)}
}

// Short tells whether a file system has so little left that those who write to it are
// about to fail: less than a quarter of what a reserve of this amount keeps.
func (a Amount) Short(room machine.Room) bool {
	return room.Bytes < max(a.Bytes/low, leastBytes) || a.ShortOfFiles(room)
}

// ShortOfFiles tells whether inodes are what a file system has too few of.
func (a Amount) ShortOfFiles(room machine.Room) bool {
	return room.AllInodes > 0 && room.Inodes < max(a.Files/low, leastFiles)
}

// fits tells whether the reserve can be taken and leaves as much again.
func (a Amount) fits(room machine.Room) bool {
	return room.Bytes >= 2*a.Bytes && (a.Files == 0 || room.Inodes >= 2*a.Files)
}

// Reserve is a directory with a file that takes up the bytes, and empty files that take
// up the inodes. The zero value is not usable.
type Reserve struct{ dir string }

// At names the reserve in dir, which need not exist. Nothing else may be in it.
func At(dir string) Reserve { return Reserve{dir} }

func (r Reserve) bytesFile() string { return filepath.Join(r.dir, "bytes") }

// Held tells whether the reserve is there.
func (r Reserve) Held() bool {
	_, err := os.Lstat(r.dir)
	return err == nil
}

// Keep takes the reserve. What cannot be taken whole is not taken.
func (r Reserve) Keep(a Amount) error {
	err := r.keep(a)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("reserving room on the disk: %w", err), r.Release())
}

func (r Reserve) keep(a Amount) error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.bytesFile(), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(a.Bytes)); err != nil {
		return err
	}
	if a.Bytes > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(a.Bytes)); err != nil {
			return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
	for i := range a.Files {
		file, err := os.OpenFile(filepath.Join(r.dir, strconv.FormatUint(i, 10)), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

// Release gives the reserve back. It is no error when there is none.
func (r Reserve) Release() error {
	// First the bytes, without a change of a directory: that may need a block itself.
	if err := os.Truncate(r.bytesFile(), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("giving back the reserve of the disk: %w", err)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("giving back the reserve of the disk: %w", err)
	}
	return nil
}

// Wanted tells whether the file system is full while the reserve is held. What cannot be
// measured is not full.
func (r Reserve) Wanted() bool {
	if !r.Held() {
		return false
	}
	room, err := machine.RoomOf(filepath.Dir(r.dir))
	return err == nil && Default(room).Short(room)
}
