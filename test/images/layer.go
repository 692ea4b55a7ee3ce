package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

const fastest = gzip.BestSpeed

// opener lets a library read content as often as it likes.
func opener(content []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// layer is a file tree that is written as the same bytes every time. Its methods
// remember the first error, which bytes returns.
type layer struct {
	entries map[string]*entry
	err     error
}

type entry struct {
	header  tar.Header
	content []byte
}

func newLayer() *layer { return &layer{entries: map[string]*entry{}} }

// put adds an entry and the directories above it.
func (l *layer) put(name string, h tar.Header, content []byte) {
	name = strings.Trim(path.Clean(name), "/")
	if dir := path.Dir(name); dir != "." && l.entries[dir] == nil {
		l.dir(dir, 0o755)
	}
	h.Name, h.Size, h.ModTime, h.Format = name, int64(len(content)), time.Unix(0, 0), tar.FormatPAX
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	l.entries[name] = &entry{h, content}
}

func (l *layer) dir(name string, mode int64) {
	l.put(name, tar.Header{Typeflag: tar.TypeDir, Mode: mode}, nil)
}

// dirOf adds a directory that belongs to a user.
func (l *layer) dirOf(name string, mode int64, uid int) {
	l.put(name, tar.Header{Typeflag: tar.TypeDir, Mode: mode, Uid: uid, Gid: uid}, nil)
}

func (l *layer) file(name string, mode int64, content string) {
	l.put(name, tar.Header{Typeflag: tar.TypeReg, Mode: mode}, []byte(content))
}

func (l *layer) link(name, target string) {
	l.put(name, tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, nil)
}

// hardlink adds another name of a file of this layer.
func (l *layer) hardlink(name, target string) {
	l.put(name, tar.Header{Typeflag: tar.TypeLink, Linkname: target, Mode: 0o755}, nil)
}

// copy adds a file of this machine under another name, with the programs' mode 0755
// or the files' 0644.
func (l *layer) copy(name, from string) {
	content, err := os.ReadFile(from)
	if err != nil {
		l.err = err
		return
	}
	mode := int64(0o644)
	if info, err := os.Stat(from); err == nil && info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	l.put(name, tar.Header{Typeflag: tar.TypeReg, Mode: mode}, content)
}

// bytes returns the tree as a tar archive, sorted: directories come before what is in
// them, and a hard link must come after its target.
func (l *layer) bytes() ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	names := slices.SortedFunc(maps.Keys(l.entries), func(a, b string) int {
		if isLink := func(n string) bool { return l.entries[n].header.Typeflag == tar.TypeLink }; isLink(a) != isLink(b) {
			if isLink(a) {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range names {
		e := l.entries[name]
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
