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

	"laterna.dev/laterna/internal/bounded"
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
func openFiles(name string) (files, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
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
	archive, err := openTar(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return archive, nil
}

type directory struct{ root *os.Root }

func (d directory) Close() error { return d.root.Close() }

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	f, err := d.root.Open(name)
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
func openTar(f seekable) (*tarFile, error) {
	magic, err := bufio.NewReaderSize(f, 16).Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	t := &tarFile{file: f, members: map[string]member{}}
	if bytes.Equal(magic, gzipMagic) {
		plain, err := gunzip(f)
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

func gunzip(f io.Reader) (*os.File, error) {
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	plain, err := os.CreateTemp("", "laterna-image-*")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(plain.Name()); err == nil {
		_, err = io.Copy(plain, zip)
	}
	if err == nil {
		_, err = plain.Seek(0, io.SeekStart)
	}
	if err != nil {
		plain.Close()
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	return plain, nil
}

// index notes where each member is. The tar reader reads headers in whole blocks and
// skips content by seeking, so after a header the file stands at its content.
func (t *tarFile) index() error {
	r := tar.NewReader(t.file)
	for {
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

// readSmall returns a JSON member of at most configLimit bytes.
func readSmall(f files, name string) ([]byte, error) {
	r, size, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > configLimit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", name, size, configLimit)
	}
	return bounded.All(r, configLimit)
}
