package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/utils/clock"
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
	Clock   clock.WithTicker
}

// Copy writes the selected lines to w, and calls flush (if not nil) when it has
// caught up with the file and is about to wait. It returns nil at the end, and when
// LimitBytes is reached. A file that is missing is an error that wraps os.ErrNotExist.
func Copy(ctx context.Context, w io.Writer, flush func(), src Source, o Options) error {
	f, err := src.Root.Open(src.Path)
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}
	defer func() { f.Close() }()
	if o.Tail != nil {
		if err := seekTail(f, *o.Tail); err != nil {
			return err
		}
	}
	c := &copier{w: w, o: o, fresh: true, left: -1}
	if o.LimitBytes != nil {
		c.left = *o.LimitBytes
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

// reopen returns the file that has taken f's place, nil when f is still the one.
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
	next, err := src.Root.Open(src.Path)
	if err != nil {
		return nil, fmt.Errorf("opening rotated log: %w", err)
	}
	return next, nil
}

func seekTail(f *os.File, n int64) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("looking at log: %w", err)
	}
	start, err := tailOffset(f, info.Size(), n)
	if err != nil {
		return err
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("seeking in log: %w", err)
	}
	return nil
}

var errLimit = errors.New("limit of bytes reached")

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// copier turns entries into output.
type copier struct {
	w io.Writer
	o Options
	// pending is the beginning of an entry that is not yet written to its end.
	pending []byte
	// fresh says that the next output begins a line.
	fresh bool
	// left is how many bytes may still be written, negative for any number.
	left int64
	buf  [32 << 10]byte
}

// drain copies up to the end of the file. last says that an entry without a
// newline at the end will not be continued.
func (c *copier) drain(f io.Reader, last bool) error {
	if c.left == 0 {
		return errLimit
	}
	for {
		n, err := f.Read(c.buf[:])
		data := c.buf[:n]
		for {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				c.pending = append(c.pending, data...)
				break
			}
			entry := data[:i]
			if len(c.pending) > 0 {
				c.pending = append(c.pending, entry...)
				entry = c.pending
			}
			if err := c.entry(entry); err != nil {
				return err
			}
			c.pending, data = c.pending[:0], data[i+1:]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading log: %w", err)
		}
	}
	if last && len(c.pending) > 0 {
		entry := c.pending
		c.pending = nil
		return c.entry(entry)
	}
	return nil
}

// entry writes one entry, or leaves it out. What does not parse is left out.
func (c *copier) entry(raw []byte) error {
	line, err := ParseLine(raw)
	if err != nil || line.Time.Before(c.o.Since) || (c.o.Stream != "" && line.Stream != c.o.Stream) {
		return nil
	}
	var out []byte
	if c.o.Timestamps && c.fresh {
		out = append(line.Time.AppendFormat(nil, timeFormat), ' ')
	}
	out = append(out, line.Text...)
	if !line.Partial {
		out = append(out, '\n')
	}
	c.fresh = !line.Partial
	return c.write(out)
}

func (c *copier) write(b []byte) error {
	if c.left >= 0 && int64(len(b)) > c.left {
		b = b[:c.left]
	}
	if _, err := c.w.Write(b); err != nil {
		return fmt.Errorf("sending log: %w", err)
	}
	if c.left >= 0 {
		if c.left -= int64(len(b)); c.left == 0 {
			return errLimit
		}
	}
	return nil
}
