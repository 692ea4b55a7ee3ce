package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"laterna.dev/laterna/internal/bounded"
)

// tailBlock is how much is read at once when looking for the last lines.
const tailBlock = 32 << 10

// End returns the end of a log: of its last lines at most so many, and of those the
// last n bytes. It holds no more of them, however long a line is, and reads no further
// back than it must. What a rotation has just put aside belongs to the log. The error of
// a file that is missing wraps os.ErrNotExist.
func End(ctx context.Context, src Source, lines int64, n int) ([]byte, error) {
	now, err := endOf(ctx, src.Root, src.Path, lines, n)
	if err != nil {
		return nil, err
	}
	lines -= int64(bytes.Count(now, []byte{'\n'}))
	if len(now) == n || lines <= 0 {
		return now, nil
	}
	files, err := rotatedFiles(src.Root, src.Path)
	if err != nil || len(files) == 0 {
		return now, err
	}
	before, err := endOf(ctx, src.Root, files[len(files)-1], lines, n-len(now))
	return append(before, now...), err
}

// endOf is End of one file.
func endOf(ctx context.Context, root *os.Root, path string, lines int64, n int) ([]byte, error) {
	f, err := bounded.OpenBelow(root, path)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at log: %w", err)
	}
	start, _, err := tailOffset(f, info.Size(), lines, int64(n))
	if err != nil {
		return nil, err
	}
	last := &lastBytes{n: n}
	part := io.NewSectionReader(f, start, info.Size()-start)
	if err := newCopier(last, Options{}).drain(ended{ctx, part}, true); err != nil {
		return nil, err
	}
	return last.kept, nil
}

// ended is a reader that ends with ctx.
type ended struct {
	ctx context.Context
	r   io.Reader
}

func (e ended) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.r.Read(p)
}

// lastBytes keeps the last n bytes that are written to it.
type lastBytes struct {
	n    int
	kept []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	all := len(p)
	p = p[max(len(p)-l.n, 0):]
	if drop := len(l.kept) + len(p) - l.n; drop > 0 {
		l.kept = append(l.kept[:0], l.kept[drop:]...)
	}
	l.kept = append(l.kept, p...)
	return all, nil
}

// tailOffset returns where an entry begins that the last n lines of a log of the given
// size, or the last so many bytes of their text, do not reach beyond. What the runtime
// cut into several entries counts as one line. missing is how many of the lines the log
// does not have.
func tailOffset(f io.ReaderAt, size, n, text int64) (start, missing int64, err error) {
	if n <= 0 || text <= 0 {
		return size, 0, nil
	}
	t := tailSearch{lines: n, text: text, start: size, end: size, last: true}
	block := make([]byte, tailBlock+maxHead)
	// An entry is known by its head, so that of the block behind the heads of entries
	// that begin before it are all that must be at hand.
	behind := 0
	for end := size; end > 0; {
		begin := max(end-tailBlock, 0)
		read := int(end - begin)
		copy(block[read:], block[:behind])
		if _, err := f.ReadAt(block[:read], begin); err != nil {
			return 0, 0, fmt.Errorf("reading log backwards: %w", err)
		}
		if t.block(block[:read+behind], read, begin) {
			return t.start, 0, nil
		}
		behind, end = min(read+behind, maxHead), begin
	}
	return t.start, t.lines, nil
}

// tailSearch looks at entries from the last to the first.
type tailSearch struct {
	lines, text int64 // what is still missing
	// start is where the search has got to: the beginning of an entry.
	start int64
	// end is where the entry before start ends, its newline included.
	end  int64
	last bool // no entry has been looked at
}

// block looks at the entries that begin in the first read bytes of data, which stand at
// the offset at, and tells whether enough was found.
func (t *tailSearch) block(data []byte, read int, at int64) (found bool) {
	for to := read; to > 0; {
		// A newline ends the entry before; the one that ends the entry looked at is
		// left aside.
		from := to
		if at+int64(to) == t.end {
			from--
		}
		i := bytes.LastIndexByte(data[:from], '\n')
		if i < 0 && at > 0 {
			return false
		}
		begin := at + int64(i) + 1
		if t.entry(data[i+1:min(int64(len(data)), t.end-at)], begin) {
			return true
		}
		t.start, t.end, to = begin, begin, i+1
	}
	return false
}

// entry looks at an entry that begins at an offset, of which data is the beginning.
func (t *tailSearch) entry(data []byte, begin int64) (found bool) {
	line, err := ParseLine(data)
	ends := err == nil && (!line.Partial || t.last)
	t.last = false
	if err != nil {
		return false
	}
	if ends && t.lines == 0 {
		return true // it belongs to a line too many
	}
	if ends {
		t.lines--
	}
	// The newline is part of what a whole line shows.
	head := int64(len(bytes.TrimSuffix(data, []byte{'\n'})) - len(line.Text))
	if t.text -= t.end - begin - head; t.text > 0 {
		return false
	}
	t.start = begin
	return true
}
