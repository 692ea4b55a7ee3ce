package atomicdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fault stands between the writer and its call number n: it refuses that one and,
// where it lasts, every later one.
type fault struct {
	n     int
	lasts bool
	calls int
	hit   bool
}

func (f *fault) before(op, name string) error {
	f.calls++
	if f.calls-1 == f.n || f.hit && f.lasts {
		f.hit = true
		return fmt.Errorf("%s %s: input/output error", op, name)
	}
	return nil
}

func faultTree(version string) Tree {
	return Tree{Files: []File{
		{Path: "both", Data: []byte(version), Mode: 0o644},
		{Path: "dir/both", Data: []byte(version), Mode: 0o600},
		{Path: "only-" + version, Data: []byte(version), Mode: 0o644},
	}}
}

// readAll returns the one version that every file of a pinned generation has.
func readAll(t *testing.T, dir string) string {
	t.Helper()
	g, err := Pin(dir)
	if err != nil {
		t.Fatalf("nothing readable: %v", err)
	}
	defer g.Close()
	version, err := g.ReadFile("both")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir/both", "only-" + string(version)} {
		if got, err := g.ReadFile(name); err != nil || string(got) != string(version) {
			t.Errorf("%s = %q, %v, want %q", name, got, err, version)
		}
	}
	return string(version)
}

// tidy checks that nothing is in dir but one generation and its links.
func tidy(t *testing.T, d *Dir, dir, version string) {
	t.Helper()
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		if _, ok := generationNumber(e.Name()); !ok {
			names = append(names, e.Name())
		}
	}
	if got, want := strings.Join(names, " "), "..data both dir only-"+version; got != want || len(entries) != len(names)+1 {
		t.Errorf("%d entries, besides generations %q, want %q", len(entries), got, want)
	}
}

// works are what a writer does in a directory that shows "old", until it shows "new".
var works = map[string]func(d *Dir) error{
	"publish": func(d *Dir) error {
		return publishAll(d, "new")
	},
	"stage and publish": func(d *Dir) error {
		_, err := d.Stage(faultTree("new"))
		return errors.Join(err, publishAll(d, "new"))
	},
	"stage others": func(d *Dir) error {
		_, err1 := d.Stage(faultTree("other"))
		err2 := publishAll(d, "new")
		_, err3 := d.Stage(faultTree("another"))
		return errors.Join(err1, err2, err3, d.Unstage())
	},
	"read back and publish": func(d *Dir) error {
		_, _, err1 := d.Digest()
		_, err2 := d.Tree()
		return errors.Join(err1, err2, publishAll(d, "new"))
	},
}

func publishAll(d *Dir, version string) error {
	if _, err := d.TryPublish(faultTree(version)); err != nil {
		return err
	}
	return d.Purge()
}

// showsOld makes a directory with the first publication.
func showsOld(t *testing.T) string {
	t.Helper()
	// There are thousands of them: in memory, where a machine has that.
	dir, err := os.MkdirTemp("/dev/shm", "atomicdir-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Publish(t.Context(), faultTree("old")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestEveryStopBetweenTwoCalls stops the writer before its first, second, third …
// system call of opening, staging and publishing and shows: the old or the new files
// are readable whole, and the next writer finishes without help. A writer that lives
// (the call fails once, or everything fails for a while) finishes by trying again.
func TestEveryStopBetweenTwoCalls(t *testing.T) {
	for name, work := range works {
		for _, mode := range []struct {
			name          string
			lasts, killed bool
		}{{"killed", true, true}, {"fails once", false, false}, {"fails for a while", true, false}} {
			t.Run(name+", "+mode.name, func(t *testing.T) {
				for n := 0; ; n++ {
					if !stopOnce(t, work, &fault{n: n, lasts: mode.lasts}, mode.killed) {
						if n < 15 {
							t.Errorf("only %d calls were stopped", n)
						}
						return
					}
				}
			})
		}
	}
}

func stopOnce(t *testing.T, work func(*Dir) error, f *fault, killed bool) (hit bool) {
	dir := showsOld(t)
	d, err := open(dir, Options{}, f.before)
	if err == nil {
		err = work(d)
	}
	version := readAll(t, dir)
	if version != "old" && version != "new" || err == nil && version != "new" {
		t.Errorf("stop %d: %q published, error %v", f.n, version, err)
	}
	hit, n := f.hit, f.n
	if d != nil && !killed {
		f.n, f.hit = -1, false
		if _, err := d.Publish(t.Context(), faultTree("new")); err != nil {
			t.Errorf("stop %d: second try: %v", n, err)
		}
		if err := d.Unstage(); err != nil {
			t.Errorf("stop %d: second try: %v", n, err)
		}
		tidy(t, d, dir, "new")
	}
	if d != nil {
		d.Close()
	}
	recovered(t, dir, n)
	return hit
}

// recovered shows that the next writer needs no help, whatever the last one left.
func recovered(t *testing.T, dir string, stop int) {
	t.Helper()
	version := readAll(t, dir)
	d, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("stop %d: %v", stop, err)
	}
	defer d.Close()
	if got := readAll(t, dir); got != version {
		t.Errorf("stop %d: opening changed %q to %q", stop, version, got)
	}
	for _, next := range []string{"new", "newer"} {
		if _, err := d.Publish(t.Context(), faultTree(next)); err != nil {
			t.Errorf("stop %d: after restart: %v", stop, err)
		}
		tidy(t, d, dir, next)
	}
}

// TestLeftoverOfTheSwap covers what a crash between making and renaming the link
// leaves, met by a writer that was opened before.
func TestLeftoverOfTheSwap(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Symlink("..nowhere", filepath.Join(dir, tmpLink)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Publish(t.Context(), faultTree("new")); err != nil {
		t.Fatal(err)
	}
	tidy(t, d, dir, "new")
}

// TestHostileLinks replaces the directory's own entries, at every step of a
// publication, by links that lead out of it.
func TestHostileLinks(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "both")
	if err := os.WriteFile(secret, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		dir := t.TempDir()
		calls := 0
		attack := func(string, string) error {
			if calls++; calls < n {
				return nil
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				name := filepath.Join(dir, e.Name())
				os.RemoveAll(name)
				os.Symlink(outside, name)
			}
			return nil
		}
		d, err := open(dir, Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Publish(t.Context(), faultTree("old")); err != nil {
			t.Fatal(err)
		}
		d.ops.before = attack
		d.Publish(t.Context(), faultTree("new")) // may fail, must not leave the directory
		d.Purge()
		d.Close()

		entries, err := os.ReadDir(outside)
		if err != nil || len(entries) != 1 {
			t.Fatalf("step %d: outside holds %v, %v", n, entries, err)
		}
		info, err := os.Lstat(secret)
		if err != nil || info.Mode() != 0o600 || info.Size() != int64(len("untouched")) {
			t.Fatalf("step %d: outside changed: %v, %v", n, info, err)
		}
	}
}
