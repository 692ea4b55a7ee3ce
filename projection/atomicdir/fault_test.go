package atomicdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errKilled = errors.New("killed")

// stopAt returns a hook that lets n calls through and refuses every later one, as if
// the process had been killed between two system calls.
func stopAt(n int) func(op, name string) error {
	return func(string, string) error {
		if n--; n < 0 {
			return errKilled
		}
		return nil
	}
}

// failOnce returns a hook that fails call n alone: the writer lives and cleans up.
func failOnce(n int) func(op, name string) error {
	return func(op, name string) error {
		if n--; n == -1 {
			return fmt.Errorf("%s %s: no space left", op, name)
		}
		return nil
	}
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

// TestEveryStopBetweenTwoCalls stops the writer before its first, second, third …
// system call of an update and shows: the old or the new files are readable whole,
// and the next writer finishes without help.
func TestEveryStopBetweenTwoCalls(t *testing.T) {
	for name, hook := range map[string]func(int) func(op, name string) error{"killed": stopAt, "failed": failOnce} {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				if done := stopOnce(t, n, hook); done {
					if n < 15 {
						t.Errorf("only %d calls were stopped", n)
					}
					return
				}
			}
		})
	}
}

func stopOnce(t *testing.T, n int, hook func(int) func(op, name string) error) (done bool) {
	dir := t.TempDir()
	before, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Publish(t.Context(), faultTree("old")); err != nil {
		t.Fatal(err)
	}
	before.Close()

	d, err := open(dir, Options{}, hook(n))
	if err == nil {
		_, err = d.Publish(t.Context(), faultTree("new"))
		if err == nil {
			err = d.Purge()
		}
	}
	version := readAll(t, dir)
	if err == nil && version != "new" {
		t.Errorf("stop %d: succeeded with %q published", n, version)
	}
	if d != nil && hook(0)("", "") != errKilled { // a living writer just tries again
		if _, err := d.Publish(t.Context(), faultTree("new")); err != nil {
			t.Errorf("stop %d: second try: %v", n, err)
		}
		tidy(t, d, dir, "new")
	}
	if d != nil {
		d.Close()
	}
	after, err2 := Open(dir, Options{})
	if err2 != nil {
		t.Fatalf("stop %d: %v", n, err2)
	}
	defer after.Close()
	if version != readAll(t, dir) && version != "old" {
		t.Errorf("stop %d: opening changed what is published", n)
	}
	for _, next := range []string{"new", "newer"} {
		if _, err := after.Publish(t.Context(), faultTree(next)); err != nil {
			t.Errorf("stop %d: after restart: %v", n, err)
		}
		tidy(t, after, dir, next)
	}
	return err == nil
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
