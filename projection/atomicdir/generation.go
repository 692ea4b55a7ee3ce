package atomicdir

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// generationName matches what this package and Kubernetes' own writer make.
var generationName = regexp.MustCompile(`^\.\.\d{4}(?:_\d\d){5}\.(\d{1,18})$`)

// generationNumber returns the number at the end of a generation's name.
func generationNumber(name string) (uint64, bool) {
	m := generationName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	return n, err == nil
}

const generationPrefix = ".."

// replaced is a generation that ..data no longer points at.
type replaced struct {
	name string
	at   time.Time // when it was replaced, or found
	// stuck says that it could not be removed.
	stuck bool
}

// adopt looks at what an earlier writer left: the published generation, replaced
// ones whose time is not over, and the remains of a crash, which it removes.
func (d *Dir) adopt() error {
	d.mu.Lock() // the timer that it starts takes its turn
	defer d.mu.Unlock()
	// Only what is there: removing nothing fails too on a read-only file system.
	if _, err := d.ops.root.Lstat(tmpLink); err == nil {
		if err := d.ops.removeTree(tmpLink); err != nil {
			return err
		}
	}
	entries, err := d.ops.list(".")
	if err != nil {
		return err
	}
	d.current = d.published()
	latest, _ := generationNumber(d.current)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagedPrefix) && e.IsDir() {
			if err := d.ops.removeTree(e.Name()); err != nil {
				return err
			}
		}
		n, ok := generationNumber(e.Name())
		if !ok || e.Name() == d.current {
			continue
		}
		d.last = max(d.last, n)
		if d.current != "" && n < latest {
			d.old = append(d.old, replaced{name: e.Name(), at: d.clock.Now()})
		} else if err := d.ops.removeTree(e.Name()); err != nil {
			return err
		}
	}
	d.last = max(d.last, latest)
	slices.SortFunc(d.old, func(a, b replaced) int {
		x, _ := generationNumber(a.name)
		y, _ := generationNumber(b.name)
		return int(min(max(int64(x)-int64(y), -1), 1))
	})
	d.schedule()
	return nil
}

// published returns the generation that ..data points at, or "" when it points at
// none of ours.
func (d *Dir) published() string {
	target, err := d.ops.root.Readlink(dataLink)
	if err != nil {
		return ""
	}
	if _, ok := generationNumber(target); !ok {
		return ""
	}
	if info, err := d.ops.root.Lstat(target); err != nil || !info.IsDir() {
		return ""
	}
	return target
}

// write makes a new generation of p's files and returns its name.
func (d *Dir) write(p *plan, prefix string) (string, error) {
	name, err := d.newName(prefix, func(name string) error { return d.ops.mkdir(name, 0o700) })
	if err != nil {
		return "", err
	}
	return name, d.fill(name, p)
}

// fill writes p into the empty generation name. Directories are opened to readers
// last, the generation itself as the very last.
func (d *Dir) fill(name string, p *plan) error {
	w, err := d.walkIn(name)
	if err != nil {
		return err
	}
	defer w.close()
	for _, dir := range p.dirs {
		in, base, err := w.beside(dir)
		if err != nil {
			return err
		}
		if err := in.mkdir(base, 0o700); err != nil {
			return err
		}
	}
	for i := range p.files {
		in, base, err := w.beside(p.files[i].Path)
		if err != nil {
			return err
		}
		if err := in.writeFile(base, &p.files[i]); err != nil {
			return err
		}
	}
	for _, dir := range p.dirs {
		in, err := w.in(dir)
		if err != nil {
			return err
		}
		if err := in.setDir(".", p.group); err != nil {
			return err
		}
	}
	return w.top.setDir(".", p.group)
}

// newName makes something under a generation's name that is free. The name is empty
// when nothing was made.
func (d *Dir) newName(prefix string, create func(name string) error) (string, error) {
	stamp := prefix + d.clock.Now().UTC().Format("2006_01_02_15_04_05.")
	for range 100 {
		d.last++
		name := stamp + strconv.FormatUint(d.last, 10)
		err := create(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("no free name for a generation after %s%d", stamp, d.last)
}
