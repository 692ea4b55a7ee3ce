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
			"token":          "Lrwxrwxrwx 1000:3000",
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
