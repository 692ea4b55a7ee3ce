package replace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// File makes content the file at path, on disk when it returns. Links in the path of the
// directory are followed.
func File(path string, content []byte, mode fs.FileMode) error {
	return at(path, content, mode, true)
}

// Below is File for the file name below root, which no link leads out of.
func Below(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	return below(root, name, content, mode, true)
}

// Unsynced is File that does not wait for the disk.
func Unsynced(path string, content []byte, mode fs.FileMode) error {
	return at(path, content, mode, false)
}

// UnsyncedBelow is Below that does not wait for the disk.
func UnsyncedBelow(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	return below(root, name, content, mode, false)
}

// Unfinished tells whether a file of the directory that holds the file name is what a
// killed process left of a replacement of it.
func Unfinished(file, name string) bool { return strings.HasPrefix(file, prefix(name)) }

func prefix(name string) string { return "." + filepath.Base(name) + "." }

func at(path string, content []byte, mode fs.FileMode, synced bool) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer root.Close()
	if err := swap(root, filepath.Base(path), content, mode, synced); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func below(root *os.Root, name string, content []byte, mode fs.FileMode, synced bool) error {
	if err := swap(root, name, content, mode, synced); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func swap(root *os.Root, name string, content []byte, mode fs.FileMode, synced bool) (err error) {
	dir := filepath.Dir(name)
	next := filepath.Join(dir, prefix(name)+rand.Text()[:8])
	f, err := root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f, content, mode, synced), f.Close()); err != nil {
		return errors.Join(err, root.Remove(next))
	}
	if err := root.Rename(next, name); err != nil {
		return errors.Join(err, root.Remove(next))
	}
	if synced {
		return syncDir(root, dir)
	}
	return nil
}

func fill(f *os.File, content []byte, mode fs.FileMode, synced bool) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil || !synced {
		return err
	}
	return f.Sync()
}

// syncDir brings the names in a directory to disk. Some network file systems cannot be
// asked to (EINVAL, see fsync(2)): they write names at once.
func syncDir(root *os.Root, name string) error {
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return errors.Join(err, dir.Close())
	}
	return dir.Close()
}
