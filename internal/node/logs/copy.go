package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
)

// Options selects what is read of a log. The zero value of each field selects all.
type Options struct {
	// Follow goes on at the end of the file until the container has ended.
	Follow     bool
	Timestamps bool
	// Since leaves out what is older.
	Since time.Time
	// Tail is the number of lines from the end, before Since is applied.
	Tail *int64
	// LimitBytes ends the copy after so many bytes, time stamps included.
	LimitBytes *int64
	// Stream selects one output; empty means both.
	Stream Stream
}

// Source is one container's log.
type Source struct {
	// Root is the directory of all logs and Path the file's path in it: a name in
	// the path that leads out of Root is refused.
	Root *os.Root
	Path string
	// Running says whether the container may still write; asked only when following.
	Running func() bool
	Clock   clock.Wall
}

// Copy writes the selected lines to w, and calls flush (if not nil) when it has
// caught up with the file and is about to wait. It returns nil at the end, and when
// LimitBytes is reached. A file that is missing is an error that wraps os.ErrNotExist.
// However long a line is, less than 100 KiB are held of it.
func Copy(ctx context.Context, w io.Writer, flush func(), src Source, o Options) error {
	f, err := bounded.OpenBelow(src.Root, src.Path)
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}
	defer func() { f.Close() }()
	c := newCopier(w, o)
	if o.Tail != nil {
		missing, err := seekTail(f, *o.Tail)
		if err == nil && missing > 0 {
			err = c.before(src, f, missing)
		}
		if err != nil {
			return ignoreLimit(err)
		}
	}
	if !o.Follow {
		return ignoreLimit(c.drain(f, true))
	}
	// The watch begins before the first read, so nothing falls between.
	watch := newWatch(filepath.Join(src.Root.Name(), filepath.Dir(src.Path)), src.Clock)
	defer watch.close()
	for {
		running := src.Running()
		if err := c.drain(f, !running); err != nil {
			return ignoreLimit(err)
		}
		if flush != nil {
			flush()
		}
		if replaced, err := reopen(src, f); err != nil {
			return err
		} else if replaced != nil {
			// What was written to the old file up to its renaming is drained first.
			if err := c.drain(f, true); err != nil {
				replaced.Close()
				return ignoreLimit(err)
			}
			f.Close()
			f = replaced
			continue
		}
		if !running {
			return nil
		}
		if err := watch.wait(ctx); err != nil {
			return err
		}
	}
}

// reopen returns the file that follows f: the one that has taken its place or, for a
// reader that is slower than the rotation, the next of the rotated ones. It is nil when
// f is still the newest.
func reopen(src Source, f *os.File) (*os.File, error) {
	now, err := src.Root.Stat(src.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // between the renaming and the runtime's reopening
	}
	if err != nil {
		return nil, fmt.Errorf("looking at log: %w", err)
	}
	old, err := f.Stat()
	if err != nil || os.SameFile(old, now) {
		return nil, nil
	}
	later, err := laterFiles(src, old)
	if err != nil {
		return nil, err
	}
	for _, path := range append(later, src.Path) {
		next, err := bounded.OpenBelow(src.Root, path)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile, as the oldest
		}
		if err != nil {
			return nil, fmt.Errorf("opening rotated log: %w", err)
		}
		return next, nil
	}
	return nil, nil
}

// laterFiles lists the rotated files that follow old, the oldest first. When old is not
// among them any more it was older than all.
func laterFiles(src Source, old os.FileInfo) ([]string, error) {
	files, err := rotatedFiles(src.Root, src.Path)
	if err != nil {
		return nil, err
	}
	for i, path := range files {
		if info, err := src.Root.Stat(path); err == nil && os.SameFile(info, old) {
			return files[i+1:], nil
		}
	}
	return files, nil
}

// seekTail goes to where the last n lines of a file begin, and returns how many of them it
// does not have.
func seekTail(f *os.File, n int64) (missing int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("looking at log: %w", err)
	}
	start, missing, err := tailOffset(f, info.Size(), n, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return 0, fmt.Errorf("seeking in log: %w", err)
	}
	return missing, nil
}

// before copies the last lines of what a rotation has just put aside: they belong to a log
// whose file f has too few.
func (c *copier) before(src Source, f *os.File, lines int64) error {
	files, err := rotatedFiles(src.Root, src.Path)
	if err != nil || len(files) == 0 {
		return err
	}
	before, err := bounded.OpenBelow(src.Root, files[len(files)-1])
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening rotated log: %w", err)
	}
	defer before.Close()
	now, err := f.Stat()
	if err != nil {
		return fmt.Errorf("looking at log: %w", err)
	}
	if old, err := before.Stat(); err != nil || os.SameFile(old, now) {
		return err // it was f that was put aside
	}
	if _, err := seekTail(before, lines); err != nil {
		return err
	}
	return c.drain(before, false) // a line may go on behind it
}
