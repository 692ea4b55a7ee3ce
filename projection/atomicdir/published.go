package atomicdir

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
)

// Digest returns the name of the published generation and the SHA-256 of what it
// shows: paths, bytes, modes, owners. Two trees that no reader can tell apart have
// the same digest, also across processes. It is remembered from the publication;
// after [Open] the files are read once to find it. Before the first publication the
// name is empty.
//
// The digest of a small secret can be guessed from: treat it as one.
func (d *Dir) Digest() (generation string, sum [sha256.Size]byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return "", sum, errClosed
	case d.current == "":
		return "", sum, nil
	case d.sum != sum:
		return d.current, d.sum, nil
	case d.found != sum:
		return d.current, d.found, nil
	}
	tree, err := d.read()
	if err != nil {
		return "", sum, fmt.Errorf("reading what is published: %w", err)
	}
	p, err := newPlan(tree, d.ids)
	if err != nil {
		return "", sum, fmt.Errorf("reading what is published: %w", err)
	}
	d.found = p.sum
	return d.current, p.sum, nil
}

// Tree reads back what is published: every file with its bytes, mode and owner as
// they are on disk. Files that hold the same share their bytes. Publishing it again
// changes nothing. The error wraps [fs.ErrNotExist] when nothing is published. A file
// that somebody made larger than [MaxFile] is an error.
func (d *Dir) Tree() (Tree, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return Tree{}, errClosed
	}
	tree, err := d.read()
	if err != nil {
		return Tree{}, fmt.Errorf("reading what is published: %w", err)
	}
	return tree, nil
}

func (d *Dir) read() (Tree, error) {
	if d.current == "" {
		return Tree{}, fs.ErrNotExist
	}
	w, err := d.walkIn(d.current)
	if err != nil {
		return Tree{}, err
	}
	defer w.close()
	info, err := w.top.root.Lstat(".")
	if err != nil {
		return Tree{}, err
	}
	t, same := Tree{Group: groupOf(info)}, shared{}
	for dirs := []string{"."}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		in, err := w.in(dir)
		if err != nil {
			return Tree{}, err
		}
		entries, err := in.list(".")
		if err != nil {
			return Tree{}, err
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, path.Join(dir, e.Name()))
				continue
			}
			file, err := in.file(e.Name())
			if err != nil {
				return Tree{}, err
			}
			file.Path, file.Data = path.Join(dir, e.Name()), same.bytes(file.Data)
			t.Files = append(t.Files, file)
		}
	}
	return t, nil
}

// shared keeps one copy of what many large files hold.
type shared map[[sha256.Size]byte][]byte

func (s shared) bytes(data []byte) []byte {
	const worth = 4096 // bytes, below which a copy costs no more than the entry
	if len(data) < worth {
		return data
	}
	sum := sha256.Sum256(data)
	if known, ok := s[sum]; ok {
		return known
	}
	s[sum] = data
	return data
}

// file reads the file name of this directory, all but its path.
func (o ops) file(name string) (File, error) {
	info, err := o.root.Lstat(name)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s: not a regular file", name)
	}
	data, err := o.readFile(name)
	uid, gid := ownersOf(info)
	return File{Data: data, Mode: info.Mode().Perm(), UID: uid, GID: gid}, err
}
