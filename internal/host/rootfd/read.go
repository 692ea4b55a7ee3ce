//go:build linux

package rootfd

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

var (
	// ErrNotRegular says that what was to be read is not a regular file.
	ErrNotRegular = bounded.ErrNotRegular
	// ErrTooLarge says that a file is longer than was allowed.
	ErrTooLarge = bounded.ErrTooLarge
)

// ReadFile returns what is in the regular file name, of at most limit bytes. Links
// are followed as long as they stay below d and on its file system, so that neither a
// link nor a mount that somebody made there leads elsewhere or holds up the reader.
func (d *Dir) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := d.child(name, unix.O_PATH, beneath|unix.RESOLVE_NO_XDEV)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// Opening a pipe or a device may have effects, so it is looked at first.
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, d.fail("read", name, ErrNotRegular)
	}
	f, err := os.Open(file.Path())
	if err != nil {
		return nil, d.fail("read", name, errors.Unwrap(err))
	}
	defer f.Close()
	data, err := bounded.All(f, limit)
	var at *fs.PathError // names the handle
	if errors.As(err, &at) {
		err = at.Err
	}
	if err != nil {
		return nil, d.fail("read", name, err)
	}
	return data, nil
}
