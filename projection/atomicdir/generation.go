package atomicdir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
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
}

// adopt looks at what an earlier writer left: the published generation, replaced
// ones whose time is not over, and the remains of a crash, which it removes.
func (d *Dir) adopt() error {
	d.mu.Lock() // the timer that it starts takes its turn
	defer d.mu.Unlock()
	if err := d.ops.remove(tmpLink); err != nil {
		return err
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
			d.old = append(d.old, replaced{e.Name(), d.clock.Now()})
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
	root, err := d.ops.root.OpenRoot(name)
	if err != nil {
		return name, err
	}
	defer root.Close()
	in := ops{root: root, before: d.ops.before}
	for _, dir := range p.dirs {
		if err := in.mkdir(dir, 0o700); err != nil {
			return name, err
		}
	}
	for _, f := range p.files {
		if err := in.writeFile(f.Path, f); err != nil {
			return name, err
		}
	}
	for _, dir := range slices.Backward(p.dirs) {
		if err := in.setDir(dir, p.group); err != nil {
			return name, err
		}
	}
	return name, in.setDir(".", p.group)
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

// holds tells whether a generation is exactly p, on disk and not only by what is
// remembered.
func (d *Dir) holds(name string, p *plan) bool {
	root, err := d.ops.root.OpenRoot(name)
	if err != nil {
		return false
	}
	defer root.Close()
	in := ops{root: root}
	want := make(map[string]*File, len(p.files))
	for i := range p.files {
		want[p.files[i].Path] = &p.files[i]
	}
	found := 0
	for _, dir := range append([]string{"."}, p.dirs...) {
		n, ok := in.dirHolds(dir, want, p)
		if !ok {
			return false
		}
		found += n
	}
	return found == len(p.files)
}

// dirHolds compares one directory and returns how many of the wanted files it has;
// any other file in it is a difference.
func (o ops) dirHolds(dir string, want map[string]*File, p *plan) (files int, ok bool) {
	info, err := o.root.Lstat(dir)
	if err != nil || !info.IsDir() || !sameDir(info, p.group) {
		return 0, false
	}
	entries, err := o.list(dir)
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
		if file == nil || !o.sameFile(file) {
			return 0, false
		}
		files++
	}
	return files, true
}

func (o ops) sameFile(want *File) bool {
	info, err := o.root.Lstat(want.Path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(want.Data)) ||
		!sameMode(info, want.Mode) || !ownedBy(info, want.UID, want.GID) {
		return false
	}
	data, err := o.root.ReadFile(want.Path)
	return err == nil && string(data) == string(want.Data)
}
