package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The limits of a container's log, upstream's defaults: a file is rotated beyond
// MaxSize bytes, and KeepFiles files are kept, the current one among them.
const (
	MaxSize   = 10 << 20
	KeepFiles = 5
)

// rotatedFormat is the suffix of a rotated file; it sorts by time.
const rotatedFormat = "20060102-150405"

// Rotate renames the log at path when it is larger than MaxSize, lets the runtime
// open a new one through reopen, and removes the oldest rotated files. When reopen
// fails the file gets its name back, so that nothing written is lost.
func Rotate(root *os.Root, path string, now time.Time, reopen func() error) error {
	info, err := root.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at log: %w", err)
	}
	if info.Size() <= MaxSize {
		return nil
	}
	rotated := path + "." + now.UTC().Format(rotatedFormat)
	if err := root.Rename(path, rotated); err != nil {
		return fmt.Errorf("rotating log: %w", err)
	}
	if err := reopen(); err != nil {
		return errors.Join(fmt.Errorf("rotating log: %w", err), root.Rename(rotated, path))
	}
	return prune(root, path)
}

// prune removes rotated files of path beyond those that are kept, oldest first.
func prune(root *os.Root, path string) error {
	files, err := rotatedFiles(root, path)
	if err != nil {
		return err
	}
	for len(files) > KeepFiles-1 {
		if err := root.Remove(files[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing rotated log: %w", err)
		}
		files = files[1:]
	}
	return nil
}

// RemoveLog removes a log with all its rotated files. It may be called again.
func RemoveLog(root *os.Root, path string) error {
	files, err := rotatedFiles(root, path)
	if err != nil {
		return err
	}
	for _, f := range append(files, path) {
		if err := root.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing log: %w", err)
		}
	}
	return nil
}

// rotatedFiles lists the rotated files of path, oldest first.
func rotatedFiles(root *os.Root, path string) ([]string, error) {
	dir, base := filepath.Split(path)
	entries, err := fs.ReadDir(root.FS(), filepath.Clean(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing logs: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), base+".") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}
