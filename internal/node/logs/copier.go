package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// copierBuffer is how much of a log is held: an entry as runtimes write it, cut at
// 16 KiB, and more. What is longer is passed on in pieces.
const copierBuffer = 32 << 10

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
	// fresh says that the next output begins a line.
	fresh bool
	// left is how many bytes may still be written, negative for any number.
	left int64
	// held are the first bytes of buf: an entry that is not yet written to its end.
	held int
	buf  [copierBuffer]byte
	// inside says that the beginning of the entry in buf has been dealt with already.
	inside bool
	// shown and partial are what that beginning said.
	shown, partial bool
	out            []byte
}

func newCopier(w io.Writer, o Options) *copier {
	c := &copier{w: w, o: o, fresh: true, left: -1}
	if o.LimitBytes != nil {
		c.left = *o.LimitBytes
	}
	return c
}

// drain copies up to the end of the file. last says that an entry without a
// newline at the end will not be continued.
func (c *copier) drain(f io.Reader, last bool) error {
	if c.left == 0 {
		return errLimit
	}
	for {
		n, err := f.Read(c.buf[c.held:])
		if err := c.take(c.held + n); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading log: %w", err)
		}
	}
	if last && (c.held > 0 || c.inside) {
		held := c.held
		c.held = 0
		return c.piece(c.buf[:held], true)
	}
	return nil
}

// take deals with the whole entries in the first n bytes of buf and moves the rest to
// its beginning. A rest that fills buf is dealt with as far as it goes.
func (c *copier) take(n int) error {
	data := c.buf[:n]
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		if err := c.piece(data[:i], true); err != nil {
			return err
		}
		data = data[i+1:]
	}
	if len(data) == len(c.buf) {
		c.held = 0
		return c.piece(data, false)
	}
	c.held = copy(c.buf[:], data)
	return nil
}

// piece deals with the next bytes of an entry; end says that they are its last ones.
func (c *copier) piece(raw []byte, end bool) error {
	var stamp []byte
	if !c.inside {
		// What does not parse is left out.
		line, err := ParseLine(raw)
		c.shown = err == nil && !line.Time.Before(c.o.Since) && (c.o.Stream == "" || line.Stream == c.o.Stream)
		if c.shown && c.o.Timestamps && c.fresh {
			stamp = append(line.Time.AppendFormat(nil, timeFormat), ' ')
		}
		c.partial, raw = line.Partial, line.Text
	}
	c.inside = !end
	if !c.shown {
		return nil
	}
	c.out = append(append(c.out[:0], stamp...), raw...)
	if c.fresh = end && !c.partial; c.fresh {
		c.out = append(c.out, '\n')
	}
	return c.write(c.out)
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
