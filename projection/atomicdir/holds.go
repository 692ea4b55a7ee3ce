package atomicdir

import (
	"path"
	"slices"
)

// holds tells whether a generation is exactly p, on disk and not only by what is
// remembered.
func (d *Dir) holds(name string, p *plan) bool {
	if name == "" {
		return false
	}
	w, err := d.walkIn(name)
	if err != nil {
		return false
	}
	defer w.close()
	want := make(map[string]*File, len(p.files))
	for i := range p.files {
		want[p.files[i].Path] = &p.files[i]
	}
	found := 0
	for i := -1; i < len(p.dirs); i++ {
		dir := "."
		if i >= 0 {
			dir = p.dirs[i]
		}
		n, ok := w.dirHolds(dir, want, p)
		if !ok {
			return false
		}
		found += n
	}
	return found == len(p.files)
}

// dirHolds compares one directory and returns how many of the wanted files it has;
// any other file in it is a difference.
func (w *walk) dirHolds(dir string, want map[string]*File, p *plan) (files int, ok bool) {
	in, err := w.in(dir)
	if err != nil {
		return 0, false
	}
	info, err := in.root.Lstat(".")
	if err != nil || !sameDir(info, p.group) {
		return 0, false
	}
	entries, err := in.list(".")
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			if _, known := slices.BinarySearch(p.dirs, name); !known {
				return 0, false
			}
			continue
		}
		file := want[name]
		if file == nil || !in.sameFile(e.Name(), file) {
			return 0, false
		}
		files++
	}
	return files, true
}

// sameFile compares the file name of this directory with want.
func (o ops) sameFile(name string, want *File) bool {
	info, err := o.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(want.Data)) ||
		!sameMode(info, want.Mode) || !ownedBy(info, want.UID, want.GID) {
		return false
	}
	data, err := o.readFile(name)
	return err == nil && string(data) == string(want.Data)
}
