package atomicdir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"laterna.dev/laterna/projection/atomicdir"
)

func stage(t *testing.T, d *atomicdir.Dir, tree atomicdir.Tree) string {
	t.Helper()
	name, err := d.Stage(tree)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func inode(t *testing.T, path ...string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestStagedFilesAreShownWhenPublished(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	first := publish(t, d, files("a", "1"))
	name := stage(t, d, files("a", "2", "d/b", "3"))
	if got := entryNames(t, dir); !slices.Equal(got, []string{first.Generation, "..data", name, "a"}) {
		t.Errorf("entries %q", got)
	}
	wantVisible(t, dir, map[string]string{"a": "1"})
	if a, b := read(t, dir, name, "a"), read(t, dir, name, "d/b"); a != "2" || b != "3" {
		t.Errorf("staged: %q, %q", a, b)
	}
	before := inode(t, dir, name, "d/b")
	if again := stage(t, d, files("d//b", "3", "a", "2")); again != name {
		t.Errorf("the same tree was staged again: %q", again)
	}
	r := publish(t, d, files("d/b", "3", "a", "2"))
	if !r.Changed || !os.SameFile(before, inode(t, dir, "..data", "d/b")) {
		t.Errorf("the staged files were written again: %+v", r)
	}
	wantVisible(t, dir, map[string]string{"a": "2", "d/b": "3"})
	if got := generations(t, dir); !slices.Equal(got, []string{first.Generation, r.Generation}) {
		t.Errorf("generations %q", got)
	}
}

func TestPublishingAnotherTreeLeavesWhatIsStaged(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	name := stage(t, d, files("a", "2"))
	publish(t, d, files("a", "3"))
	if got := read(t, dir, name, "a"); got != "2" {
		t.Errorf("staged: %q", got)
	}
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, name, "a"); got != "2" {
		t.Errorf("after Purge: %q", got)
	}
	publish(t, d, files("a", "2"))
	publish(t, d, files("a", "3"))
	d.Close()

	// Numbers say what was published last, whichever was written first.
	d = open(t, dir)
	if r := publish(t, d, files("a", "3")); r.Changed {
		t.Errorf("%+v", r)
	}
	if got := generations(t, dir); len(got) != 3 {
		t.Errorf("generations in their grace: %q", got)
	}
}

func TestOneGenerationIsStagedAtMost(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	first := publish(t, d, files("a", "1"))
	stage(t, d, files("a", "2"))
	last := stage(t, d, files("a", "3"))
	if got := generations(t, dir); !slices.Equal(got, []string{first.Generation, last}) {
		t.Errorf("generations %q", got)
	}
	for range 2 {
		if err := d.Unstage(); err != nil {
			t.Fatal(err)
		}
	}
	if got := generations(t, dir); !slices.Equal(got, []string{first.Generation}) {
		t.Errorf("after Unstage: %q", got)
	}
	if name := stage(t, d, files("a", "1")); name != first.Generation {
		t.Errorf("what is published was staged as %q", name)
	}
	stage(t, d, files("a", "4"))
	d.Close()
	if got := generations(t, dir); !slices.Equal(got, []string{first.Generation}) {
		t.Errorf("after Close: %q", got)
	}
	if _, err := d.Stage(files("a", "5")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Stage after Close: %v", err)
	}
	if err := d.Unstage(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Unstage after Close: %v", err)
	}
}

func TestBadTreesAreNotStaged(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	name := stage(t, d, files("a", "1")) // before anything is published
	if _, err := d.Stage(files("../a", "2")); !errors.Is(err, atomicdir.ErrPath) {
		t.Errorf("error %v", err)
	}
	if got := entryNames(t, dir); !slices.Equal(got, []string{name}) {
		t.Errorf("entries %q", got)
	}
	publish(t, d, files("a", "1"))
	wantVisible(t, dir, map[string]string{"a": "1"})
}

func TestTamperedStagedFilesAreNotPublished(t *testing.T) {
	for tamper, do := range map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(dir+"/a", []byte("evil"), 0o644) },
		"extra":   func(dir string) error { return os.WriteFile(dir+"/b", nil, 0o644) },
		"gone":    os.RemoveAll,
	} {
		t.Run(tamper, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			publish(t, d, files("a", "1"))
			name := stage(t, d, files("a", "2"))
			if err := do(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			publish(t, d, files("a", "2"))
			wantVisible(t, dir, map[string]string{"a": "2"})
			if err := d.Unstage(); err != nil {
				t.Fatal(err)
			}
			if got := generations(t, dir); len(got) != 2 {
				t.Errorf("generations %q", got)
			}
		})
	}
}

func TestStagedDoNotCountAsReplaced(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, dir)
		for n := range atomicdir.MaxReplaced {
			publish(t, d, numbered(n))
			stage(t, d, numbered(1000+n))
		}
		if r, err := d.TryPublish(numbered(99)); err != nil || !r.Changed {
			t.Errorf("the last that has room: %+v, %v", r, err)
		}
		r, err := d.TryPublish(numbered(1000 + atomicdir.MaxReplaced - 1))
		if err != nil || r.RetryAfter == 0 || r.Changed {
			t.Errorf("without room: %+v, %v", r, err)
		}
		wantVisible(t, dir, map[string]string{"n": "99"})
	})
}

// TestStagingAndPublishingTakeTurns runs everything at once on one directory and
// shows that what is published in the end is whole.
func TestStagingAndPublishingTakeTurns(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 10 {
				if _, err := d.Stage(tornTree(n % 3)); err != nil {
					t.Error(err)
				}
				d.Purge()
				if _, err := d.TryPublish(tornTree((n + i) % 3)); err != nil {
					t.Error(err)
				}
				if _, err := readPinned(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				if i == 0 {
					if err := d.Unstage(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	publish(t, d, tornTree(7))
	if n, err := readPinned(dir); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestDigestIsOfWhatReadersSee(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	digest := func() string {
		t.Helper()
		name, sum, err := d.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return name + " " + string(sum[:])
	}
	if got := digest(); strings.TrimRight(got, "\x00") != " " {
		t.Errorf("before the first publication: %q", got)
	}
	if _, err := d.Tree(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Tree before the first publication: %v", err)
	}
	seen := map[string]bool{}
	for _, tree := range []atomicdir.Tree{files(), files("a", "1"), files("a", "2"), files("b", "2"), files("d/a", "2", "d/e/f", "3")} {
		publish(t, d, tree)
		known := digest()
		d.Close()
		d = open(t, dir)
		if found := digest(); found != known {
			t.Errorf("%v: after a restart another digest", tree.Files)
		}
		back, err := d.Tree()
		if err != nil {
			t.Fatal(err)
		}
		if r := publish(t, d, back); r.Changed {
			t.Errorf("%v: read back and published again: %+v", tree.Files, r)
		}
		if r := publish(t, d, tree); r.Changed || digest() != known {
			t.Errorf("%v: published again: %+v", tree.Files, r)
		}
		seen[known] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d digests of 5 trees", len(seen))
	}
	d.Close()
	if _, _, err := d.Digest(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Digest after Close: %v", err)
	}
}
