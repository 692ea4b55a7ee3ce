//go:build !windows

package atomicdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"laterna.dev/laterna/projection/atomicdir"
)

func describe(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d:%d", info.Mode(), s.Uid, s.Gid)
}

func TestModesIgnoreTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		old := syscall.Umask(umask)
		defer syscall.Umask(old)
		dir := t.TempDir()
		tree := atomicdir.Tree{}
		for _, mode := range []os.FileMode{0, 0o400, 0o644, 0o666, 0o777} {
			tree.Files = append(tree.Files, atomicdir.File{Path: fmt.Sprintf("d/%o", mode), Data: []byte("x"), Mode: mode})
		}
		publish(t, open(t, dir), tree)
		for _, f := range tree.Files {
			info, err := os.Lstat(filepath.Join(dir, "..data", f.Path))
			if err != nil || info.Mode() != f.Mode {
				t.Errorf("umask %o, %s: %v, %v", umask, f.Path, info.Mode(), err)
			}
		}
		for _, d := range []string{"..data/.", "..data/d"} {
			if info, err := os.Lstat(dir + "/" + d); err != nil || info.Mode() != os.ModeDir|0o755 {
				t.Errorf("umask %o, %s: %v, %v", umask, d, info.Mode(), err)
			}
		}
		syscall.Umask(old)
	}
}

func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	dir := t.TempDir()
	d := open(t, dir)
	tree := atomicdir.Tree{Group: ptr(3000), Files: []atomicdir.File{
		{Path: "token", Mode: 0o640, UID: ptr(1000), GID: ptr(3000)},
		{Path: "d/plain", Mode: 0o444, GID: ptr(3000)},
	}}
	for round := range 2 { // the second by a writer that finds the first's work
		publish(t, d, tree)
		for path, want := range map[string]string{
			"..data/.":       "dgrwxr-xr-x 0:3000",
			"..data/d":       "dgrwxr-xr-x 0:3000",
			"..data/token":   "-rw-r----- 1000:3000",
			"..data/d/plain": "-r--r--r-- 0:3000",
			"token":          "Lrwxrwxrwx 0:3000", // see Dir.link
			"d":              "Lrwxrwxrwx 0:3000",
		} {
			if got := describe(t, dir+"/"+path); got != want {
				t.Errorf("round %d, %s: %s, want %s", round, path, got, want)
			}
		}
		d.Close()
		d = open(t, dir)
	}
	tree = atomicdir.Tree{Files: []atomicdir.File{{Path: "token", Mode: 0o640}}}
	publish(t, d, tree)
	if got := describe(t, dir+"/token"); got[:len("Lrwxrwxrwx 0:")] != "Lrwxrwxrwx 0:" {
		t.Errorf("link of a file that lost its owner: %s", got)
	}
}

// TestStagedFilesHaveTheirOwners holds that nothing but the name of the directory
// changes when staged files are published.
func TestStagedFilesHaveTheirOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	dir := t.TempDir()
	d := open(t, dir)
	publish(t, d, files("a", "1"))
	tree := atomicdir.Tree{Group: ptr(3000), Files: []atomicdir.File{
		{Path: "token", Mode: 0o640, UID: ptr(1000), GID: ptr(3000)},
		{Path: "d/e/plain", Mode: 0o444, GID: ptr(3000)},
	}}
	look := func(generation string) (all string) {
		for _, p := range []string{".", "token", "d", "d/e", "d/e/plain"} {
			all += describe(t, filepath.Join(dir, generation, p)) + "\n"
		}
		return all
	}
	staged := look(stage(t, d, tree))
	if want := "dgrwxr-xr-x 0:3000\n-rw-r----- 1000:3000\ndgrwxr-xr-x 0:3000\ndgrwxr-xr-x 0:3000\n-r--r--r-- 0:3000\n"; staged != want {
		t.Errorf("staged\n%swant\n%s", staged, want)
	}
	if got := look(publish(t, d, tree).Generation); got != staged {
		t.Errorf("published\n%sstaged\n%s", got, staged)
	}
	tree.Files[0].UID = ptr(1001)
	publish(t, d, tree)
	if got := describe(t, dir+"/..data/token"); got != "-rw-r----- 1001:3000" {
		t.Errorf("another owner than what was staged before: %s", got)
	}
}

// TestDigestCoversModesAndOwners holds that the digest is the same when it is found
// on disk, whatever the directory passes on to its files.
func TestDigestCoversModesAndOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	digest := func(d *atomicdir.Dir) [32]byte {
		t.Helper()
		_, sum, err := d.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	file := atomicdir.File{Path: "d/a", Data: []byte("x"), Mode: 0o644}
	owned := file
	owned.UID, owned.GID = ptr(1000), ptr(3000)
	private := file
	private.Mode = 0o600
	for name, prepare := range map[string]func(dir string) error{
		"plain":  func(string) error { return nil },
		"setgid": func(dir string) error { os.Chown(dir, -1, 2000); return os.Chmod(dir, 0o777|os.ModeSetgid) },
	} {
		dir := t.TempDir()
		if err := prepare(dir); err != nil {
			t.Fatal(err)
		}
		seen := map[[32]byte]int{}
		for i, tree := range []atomicdir.Tree{
			{Files: []atomicdir.File{file}}, {Files: []atomicdir.File{private}}, {Files: []atomicdir.File{owned}},
			{Files: []atomicdir.File{owned}, Group: ptr(3000)}, {Files: []atomicdir.File{file}, Group: ptr(3000)},
		} {
			d := open(t, dir)
			publish(t, d, tree)
			sum := digest(d)
			if other, twice := seen[sum]; twice {
				t.Errorf("%s: trees %d and %d have one digest", name, other, i)
			}
			seen[sum] = i
			d.Close()
			d = open(t, dir)
			if digest(d) != sum {
				t.Errorf("%s: tree %d has another digest on disk", name, i)
			}
			back, err := d.Tree()
			if err != nil {
				t.Fatal(err)
			}
			if r := publish(t, d, back); r.Changed {
				t.Errorf("%s: tree %d, read back: %+v", name, i, r)
			}
			d.Close()
		}
	}
}
