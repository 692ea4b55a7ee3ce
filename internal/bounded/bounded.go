package bounded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

var (
	// ErrNotRegular says that what was to be read is not a regular file.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge says that there is more than was allowed.
	ErrTooLarge = errors.New("too large")
)

// Sizes that fit many files, in bytes.
const (
	// Small fits what the kernel or this program says in a few lines.
	Small = 64 << 10
	// Document fits what people write: configuration, certificates, keys.
	Document = 1 << 20
	// Table fits lists that grow with the machine: mappings, processes, hosts.
	Table = 64 << 20
)

// All returns what is left in r, of at most limit bytes. The error of more is
// ErrTooLarge, and then it returns what it has taken from r: limit bytes and one.
func All(r io.Reader, limit int64) ([]byte, error) {
	data, err := Beginning(r, limit+1)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return data, tooLarge(limit)
	}
	return data, nil
}

func tooLarge(limit int64) error { return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit) }

// Beginning returns the next n bytes of r, or all where there are fewer. With an error it
// returns what came before that.
func Beginning(r io.Reader, n int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, 512))
	_, err := io.Copy(b, io.LimitReader(r, n))
	return b.Bytes(), err
}

// File returns what is in the regular file at path, of at most limit bytes. Links are
// followed. Files of /proc and /sys are regular.
func File(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return whole(f, path, limit)
}

// Below is File for the file name below root. The name itself may be no link.
func Below(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := OpenBelow(root, name)
	if err != nil {
		return nil, err
	}
	return whole(f, name, limit)
}

// In is File for a file of a file system that is given, such as a test's.
func In(system fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(system, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(name)
	}
	f, err := system.Open(name)
	if err != nil {
		return nil, err
	}
	return whole(f, name, limit)
}

// Input is File for what a person named on a command line, which may be a pipe: it
// waits for the writer.
func Input(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return whole(f, path, limit)
}

// Prefix returns the first n bytes of the regular file at path, or all where there are
// fewer.
func Prefix(path string, n int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Beginning(f, n)
}

// End returns the last n bytes of an open regular file, or all where there are fewer.
func End(f *os.File, n int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return Beginning(io.NewSectionReader(f, max(info.Size()-n, 0), n), n)
}

// whole reads f to its end and closes it.
func whole(f fs.File, name string, limit int64) ([]byte, error) {
	defer f.Close()
	// What the file says of its size need not be true, but it spares a reading.
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: tooLarge(limit)}
	}
	data, err := All(f, limit)
	if errors.Is(err, ErrTooLarge) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, err
}

// Open opens the regular file at path for reading; links are followed.
func Open(path string) (*os.File, error) {
	// Opening a pipe or a device may have effects, so it is looked at first, and again
	// when it is open.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	return regular(f, path)
}

// OpenBelow is Open for the file name below root. The name itself may be no link.
func OpenBelow(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(name)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	return regular(f, name)
}

// regular returns f if it is a regular file, and else closes it.
func regular(f *os.File, name string) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func notRegular(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
}
