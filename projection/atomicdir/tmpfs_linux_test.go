package atomicdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/projection/atomicdir"
)

// tmpfs mounts a file system of its own for the test.
func tmpfs(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mounting tmpfs (these tests run as root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// scratch is a directory on the kind of file system that volumes are on.
func scratch(t *testing.T) string {
	if os.Geteuid() != 0 {
		return t.TempDir()
	}
	return tmpfs(t, "")
}

func TestFullFileSystem(t *testing.T) {
	dir := tmpfs(t, "size=256k")
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	big := strings.Repeat("x", 100<<10)
	for range 2 {
		r, err := d.Publish(t.Context(), files("a", "2", "b", big, "c", big, "d", big))
		if !errors.Is(err, unix.ENOSPC) || r.Changed {
			t.Fatalf("%+v, %v", r, err)
		}
		wantVisible(t, dir, map[string]string{"a": "1"})
		if got := generations(t, dir); len(got) != 1 {
			t.Errorf("remains: %q", got)
		}
	}
	publish(t, d, files("a", "2", "b", big))
	wantVisible(t, dir, map[string]string{"a": "2", "b": big})
}

func TestFullOfInodes(t *testing.T) {
	synctest.Test(t, testFullOfInodes) // it waits for a replaced generation
}

func testFullOfInodes(t *testing.T) {
	dir := tmpfs(t, "nr_inodes=16")
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	many := files()
	for _, name := range strings.Split("bcdefghijk", "") {
		many.Files = append(many.Files, atomicdir.File{Path: name, Mode: 0o644})
	}
	// Fits as a generation, not with its links: the change is visible, the links follow
	// when there is room again.
	r, err := d.Publish(t.Context(), many)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "nr_inodes=100"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Publish(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	if got := visible(t, dir); len(got) != 10 {
		t.Errorf("visible: %q", got)
	}
}

// TestFullAtAnyPoint leaves room for one more inode each time, so that the file
// system is full at every allocation of an update in turn: of its directories, files
// and links, staged or not.
func TestFullAtAnyPoint(t *testing.T) {
	synctest.Test(t, testFullAtAnyPoint)
}

func testFullAtAnyPoint(t *testing.T) {
	inodes := func(t *testing.T, dir string, n uint64) {
		t.Helper()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, fmt.Sprintf("nr_inodes=%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	before, after := files("a", "1", "d/b", "1", "old", "1"), files("a", "2", "d/b", "2", "e/f/g", "2", "new", "2")
	old, updated := map[string]string{"a": "1", "d/b": "1", "old": "1"}, map[string]string{"a": "2", "d/b": "2", "e/f/g": "2", "new": "2"}
	for _, staged := range []bool{false, true} {
		failures := 0
		for room := uint64(0); ; room++ {
			dir := tmpfs(t, "nr_inodes=100")
			d := open(t, dir)
			publish(t, d, before)
			var fs unix.Statfs_t
			if err := unix.Statfs(dir, &fs); err != nil {
				t.Fatal(err)
			}
			inodes(t, dir, fs.Files-fs.Ffree+room)
			var err error
			if staged {
				_, err = d.Stage(after)
			}
			if err == nil {
				_, err = d.Publish(t.Context(), after)
			}
			if err == nil {
				wantVisible(t, dir, updated)
				break
			}
			failures++
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("room for %d: %v", room, err)
			}
			if r, err := os.ReadFile(dir + "/..data/a"); err != nil || string(r) != "1" && string(r) != "2" {
				t.Errorf("room for %d: a = %q, %v", room, r, err)
			} else if string(r) == "1" {
				wantVisible(t, dir, old)
			}
			inodes(t, dir, 100)
			publish(t, d, after)
			wantVisible(t, dir, updated)
			if err := errors.Join(d.Unstage(), d.Purge()); err != nil {
				t.Fatal(err)
			}
			if got := generations(t, dir); len(got) != 1 {
				t.Errorf("room for %d: remains %q", room, got)
			}
		}
		if failures < 9 {
			t.Errorf("staged %v: full at %d points only", staged, failures)
		}
	}
}

func TestAFullFileSystemWaitsForReplacedGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := tmpfs(t, "size=64k")
		d := open(t, dir)
		content := func(n int) string { return strings.Repeat(fmt.Sprint(n), 24<<10) }
		publish(t, d, files("a", content(0)))
		began := time.Now()
		for n := 1; n <= 5; n++ {
			pinned, err := atomicdir.Pin(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer pinned.Close()
			if r, err := d.Publish(t.Context(), files("a", content(n))); err != nil || !r.Changed {
				t.Fatalf("update %d: %+v, %v", n, r, err)
			}
			wantVisible(t, dir, map[string]string{"a": content(n)})
			if got, err := pinned.ReadFile("a"); err != nil || string(got) != content(n-1) {
				t.Errorf("update %d: the replaced file has %d bytes, %v", n, len(got), err)
			}
		}
		// Two fit: each update after the first waits until the one before the last is gone.
		if took := time.Since(began); took < 3*atomicdir.Grace || took > 5*atomicdir.Grace {
			t.Errorf("five updates took %v", took)
		}
		if r, err := d.TryPublish(files("a", content(9))); err != nil || r.RetryAfter <= 0 || r.RetryAfter > atomicdir.Grace || r.Changed {
			t.Errorf("TryPublish: %+v, %v", r, err)
		}
		if n := d.Replaced(); n != 1 {
			t.Errorf("%d replaced generations", n)
		}
		// What does not fit at all fails once nothing is left to wait for.
		if r, err := d.Publish(t.Context(), files("a", strings.Repeat("x", 100<<10))); !errors.Is(err, unix.ENOSPC) || r.Changed {
			t.Errorf("%+v, %v", r, err)
		}
		wantVisible(t, dir, map[string]string{"a": content(5)})
	})
}

func TestLinksThatFindNoRoomAreMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := tmpfs(t, "nr_inodes=22")
		d := open(t, dir)
		publish(t, d, files("a/1", "", "a/2", "", "a/3", "", "a/4", ""))
		tree := files("b", "", "c", "", "d", "", "e", "", "f", "")
		r, err := d.TryPublish(tree)
		for range 2 * atomicdir.MaxReplaced {
			if err != nil || r.RetryAfter == 0 {
				break
			}
			if r.Changed {
				t.Errorf("told before its end: %+v", r)
			}
			time.Sleep(r.RetryAfter)
			r, err = d.TryPublish(tree)
		}
		if err != nil || !r.Changed {
			t.Errorf("%+v, %v", r, err)
		}
		wantVisible(t, dir, map[string]string{"b": "", "c": "", "d": "", "e": "", "f": ""})
	})
}

func TestEqualFilesAreReadBackAsOne(t *testing.T) {
	d := open(t, scratch(t))
	big := strings.Repeat("x", 1<<20)
	publish(t, d, files("a", big, "b/c", big, "d", big[1:]))
	tree, err := d.Tree()
	if err != nil || len(tree.Files) != 3 {
		t.Fatalf("%d files, %v", len(tree.Files), err)
	}
	bytes := map[*byte]int{}
	for _, f := range tree.Files {
		bytes[&f.Data[0]]++
	}
	if len(bytes) != 2 {
		t.Errorf("%d copies of two contents", len(bytes))
	}
	if r, err := d.Publish(t.Context(), tree); err != nil || r.Changed {
		t.Errorf("published again: %+v, %v", r, err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := tmpfs(t, "")
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	if _, err := d.Publish(t.Context(), files("a", "2")); !errors.Is(err, unix.EROFS) {
		t.Errorf("error %v", err)
	}
	if r, err := d.Publish(t.Context(), files("a", "1")); err != nil || r.Changed {
		t.Errorf("the same tree: %+v, %v", r, err)
	}
	if _, err := d.Stage(files("a", "2")); !errors.Is(err, unix.EROFS) {
		t.Errorf("staging: %v", err)
	}
	wantVisible(t, dir, map[string]string{"a": "1"})
	d.Close()
	d = open(t, dir) // an agent that restarts meanwhile
	if r, err := d.Publish(t.Context(), files("a", "1")); err != nil || r.Changed {
		t.Errorf("the same tree, after a restart: %+v, %v", r, err)
	}
	remount(0)
	publish(t, d, files("a", "2"))
	wantVisible(t, dir, map[string]string{"a": "2"})
}

// tenFiles is the volume that the budget speaks of.
func tenFiles(round byte) (t atomicdir.Tree) {
	for i := range byte(10) {
		data := make([]byte, 1024)
		data[0] = round
		t.Files = append(t.Files, atomicdir.File{Path: "file" + string('0'+i), Data: data, Mode: 0o644})
	}
	return t
}

// BenchmarkPublish is to be compared with BenchmarkSystemCalls: the budget is three
// times as long.
func BenchmarkPublish(b *testing.B) {
	d, err := atomicdir.Open(tmpfs(b, ""), atomicdir.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for n := 0; b.Loop(); n++ {
		if _, err := d.TryPublish(tenFiles(byte(n))); err != nil {
			b.Fatal(err)
		}
		if err := d.Purge(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSystemCalls is what no writer of this layout can do without.
func BenchmarkSystemCalls(b *testing.B) {
	dir := tmpfs(b, "")
	old := ""
	for n := 0; b.Loop(); n++ {
		name := filepath.Join(dir, "..g"+string('0'+byte(n%2)))
		check(b, unix.Mkdir(name, 0o700))
		for _, f := range tenFiles(byte(n)).Files {
			fd, err := unix.Open(name+"/"+f.Path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
			check(b, err)
			_, err = unix.Write(fd, f.Data)
			check(b, err)
			check(b, unix.Fchmod(fd, 0o644))
			check(b, unix.Close(fd))
		}
		check(b, unix.Chmod(name, 0o755))
		check(b, unix.Symlink(filepath.Base(name), dir+"/..data_tmp"))
		check(b, unix.Rename(dir+"/..data_tmp", dir+"/..data"))
		if old != "" {
			for _, f := range tenFiles(0).Files {
				check(b, unix.Unlink(old+"/"+f.Path))
			}
			check(b, unix.Rmdir(old))
		}
		old = name
	}
	check(b, os.RemoveAll(old))
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
