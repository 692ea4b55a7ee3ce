package atomicdir

import (
	"os"
	"path"
)

// walk gives access to one directory of a generation after the other. It keeps the
// last one open, so that neighbours and children cost one call whatever their depth:
// a path of 4096 bytes can be 2048 directories deep.
type walk struct {
	top ops
	dir string
	at  *os.Root // nil while dir is the top
}

// walkIn starts at the top of a generation, whose handle it closes in the end.
func (d *Dir) walkIn(generation string) (*walk, error) {
	root, err := d.ops.root.OpenRoot(generation)
	if err != nil {
		return nil, err
	}
	return &walk{top: ops{root: root, before: d.ops.before}, dir: "."}, nil
}

// in returns what works inside dir, until the next call.
func (w *walk) in(dir string) (ops, error) {
	if dir == w.dir {
		return w.here(), nil
	}
	from, rest := w.top.root, dir
	if w.at != nil && path.Dir(dir) == w.dir {
		from, rest = w.at, path.Base(dir)
	}
	var next *os.Root
	if dir != "." {
		var err error
		if next, err = from.OpenRoot(rest); err != nil {
			return ops{}, err
		}
	}
	if w.at != nil {
		w.at.Close()
	}
	w.dir, w.at = dir, next
	return w.here(), nil
}

func (w *walk) here() ops {
	if w.at == nil {
		return w.top
	}
	return ops{root: w.at, before: w.top.before}
}

// beside returns what works in the directory that holds name, and its last segment.
func (w *walk) beside(name string) (ops, string, error) {
	in, err := w.in(path.Dir(name))
	return in, path.Base(name), err
}

func (w *walk) close() {
	if w.at != nil {
		w.at.Close()
	}
	w.top.root.Close()
}
