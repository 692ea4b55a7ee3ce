package images

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// files is an archive whose members can be read in any order.
type files interface {
	// open returns a member's content and its length. The error is fs.ErrNotExist
	// (wrapped) when there is no such member.
	open(name string) (io.ReadCloser, int64, error)
	// Close releases the archive.
	Close() error
}

// openFiles opens a tar archive, plain or gzipped, or a directory.
func openFiles(name string, temp scratch) (files, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a file nor a directory")
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		return directory{root}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	archive, err := openTar(f, temp)
	if err != nil {
		f.Close()
		return nil, err
	}
	return archive, nil
}

type directory struct{ root *os.Root }

func (d directory) Close() error { return d.root.Close() }

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	// Without waiting for the other end of a pipe.
	f, err := d.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// seekable is what a tar archive is read from: a file, or memory.
type seekable interface {
	io.ReadSeekCloser
	io.ReaderAt
}

type inMemory struct{ *bytes.Reader }

// Close implements io.Closer.
func (inMemory) Close() error { return nil }

// tarFile is a tar archive with the place of each member.
type tarFile struct {
	file    seekable
	members map[string]member
}

type member struct {
	offset, size int64
	// link is the member that this one is another name of.
	link string
}

// openTar takes over f. A gzipped archive is unpacked into a nameless temporary file
// first, since its members cannot be reached otherwise.
func openTar(f seekable, temp scratch) (*tarFile, error) {
	magic, err := bufio.NewReaderSize(f, 16).Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	t := &tarFile{file: f, members: map[string]member{}}
	if bytes.Equal(magic, gzipMagic) {
		plain, err := temp.gunzip(f)
		if err != nil {
			return nil, err
		}
		f.Close()
		t.file = plain
	}
	if err := t.index(); err != nil {
		t.file.Close()
		return nil, err
	}
	return t, nil
}

// scratch is where a gzipped archive is unpacked to, and how far.
type scratch struct {
	dir string
	max int64 // bytes
}

func (s scratch) gunzip(f io.Reader) (*os.File, error) {
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	plain, err := os.CreateTemp(s.dir, "laterna-image-*")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(plain.Name()); err == nil {
		err = s.fill(plain, zip)
	}
	if err == nil {
		_, err = plain.Seek(0, io.SeekStart)
	}
	if err != nil {
		plain.Close()
		return nil, err
	}
	return plain, nil
}

// fill copies an archive while it stays within its limit and the disk has room.
func (s scratch) fill(to io.Writer, from io.Reader) error {
	const step = 16 << 20
	for left := s.max; ; left -= step {
		if err := (disk{s.dir}).room(need{bytes: step}); err != nil {
			return err
		}
		n, err := io.CopyN(to, from, min(step, left+1))
		switch {
		case n > left:
			return errTooLarge(s.max)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading gzip: %w", err)
		}
	}
}

// index notes where each member is. The tar reader reads headers in whole blocks and
// skips content by seeking, so after a header the file stands at its content.
func (t *tarFile) index() error {
	r := tar.NewReader(t.file)
	for names := 0; ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("not a tar archive: %w", err)
		}
		offset, err := t.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if names += len(h.Name) + len(h.Linkname); names > memberNames || len(t.members) >= memberLimit {
			return fmt.Errorf("it has more files than an archive of images: the limit is %d, with names of %d bytes together", memberLimit, memberNames)
		}
		if sparse(h) {
			return fmt.Errorf("%s is stored as a sparse file, which archives of images do not have", name)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			t.members[name] = member{offset: offset, size: h.Size}
		case tar.TypeSymlink:
			t.members[name] = member{link: path.Join(path.Dir(name), h.Linkname)}
		case tar.TypeLink:
			t.members[name] = member{link: path.Clean(h.Linkname)}
		}
	}
	if len(t.members) == 0 {
		return errors.New("the archive is empty")
	}
	return nil
}

func (t *tarFile) Close() error { return t.file.Close() }

func (t *tarFile) open(name string) (io.ReadCloser, int64, error) {
	const maxLinks = 8
	at := path.Clean(strings.TrimPrefix(name, "/"))
	for range maxLinks {
		m, ok := t.members[at]
		switch {
		case !ok:
			return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case m.link == "":
			return io.NopCloser(io.NewSectionReader(t.file, m.offset, m.size)), m.size, nil
		}
		at = m.link
	}
	return nil, 0, fmt.Errorf("%s: too many links", name)
}

// sparse tells whether a member's bytes are not all in the archive.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
