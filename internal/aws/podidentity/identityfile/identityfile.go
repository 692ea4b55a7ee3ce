// Package identityfile owns the file that lists the service accounts with container
// credentials, for the built-in admission and for the webhook alike.
//
// The file is read whenever somebody asks, so that no change is missed and nothing watches;
// it is parsed where it has changed. What it means is internal/aws/podidentity's.
package identityfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/bounded"
)

// File is the file at a path. Its methods may be called concurrently.
type File struct {
	path string

	mu   sync.Mutex
	raw  []byte
	good podidentity.Identities
	err  error
}

// Open returns the file at path. One that is not there lists nobody; one that cannot be read
// or parsed is an error here, and later the last good one counts on.
func Open(path string) (*File, error) {
	f := &File{path: path}
	_, err := f.Identities()
	return f, err
}

// Identities returns who is listed now. With an error it is who was listed before.
func (f *File) Identities() (podidentity.Identities, error) {
	raw, err := bounded.File(f.path, bounded.Table)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.last(), fmt.Errorf("reading container credentials: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Equal(raw, f.raw) {
		return f.good, f.err
	}
	read, err := podidentity.ParseIdentities(raw)
	f.raw, f.err = raw, nil
	if err != nil {
		f.err = fmt.Errorf("reading container credentials: %s: %w", f.path, err)
		return f.good, f.err
	}
	f.good = read
	return f.good, nil
}

func (f *File) last() podidentity.Identities {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.good
}
