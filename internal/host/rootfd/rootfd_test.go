//go:build linux

package rootfd_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
)

func open(t *testing.T, path string) *rootfd.Dir {
	t.Helper()
	d, err := rootfd.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMkdirAllIgnoresTheUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := t.TempDir()
	d := must[*rootfd.Dir](t)(open(t, dir).MkdirAll("a/b", 0o755))
	defer d.Close()
	for _, name := range []string{"a", "a/b"} {
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Mode() != os.ModeDir|0o755 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := d.Chmod(0o750 | os.ModeSetgid | os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := d.Chown(-1, 77); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Stat(); err != nil || st.Mode&0o7777 != 0o3750 || st.Gid != 77 {
		t.Errorf("mode %o, group %d, %v", st.Mode, st.Gid, err)
	}
	again := must[*rootfd.Dir](t)(open(t, dir).MkdirAll("a/b", 0o777))
	again.Close()
	if st, _ := d.Stat(); st.Mode&0o777 != 0o750 {
		t.Error("what was there changed its mode")
	}
}

func TestNothingLeadsOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, outside+"/f", "x")
	for name, target := range map[string]string{"absolute": outside, "relative": "../" + filepath.Base(outside), "proc": "/proc/self/root"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, dir)
	for _, name := range []string{"absolute", "relative", "proc", "..", "../x", "absolute/f", "relative/new", "/etc"} {
		for op, f := range map[string]func(string) (*rootfd.Dir, error){
			"Sub":     d.Sub,
			"Resolve": func(n string) (*rootfd.Dir, error) { return d.Resolve(n, 0o777) },
			"MkdirAll": func(n string) (*rootfd.Dir, error) {
				if n == "/etc" {
					return d.Sub(n)
				}
				return d.MkdirAll(n, 0o777)
			},
		} {
			if h, err := f(name); err == nil {
				t.Errorf("%s(%q) opened %s", op, name, must[string](t)(os.Readlink(h.Path())))
			}
		}
	}
	if _, err := d.Touch("absolute"); err == nil {
		t.Error("Touch followed a link")
	}
	for _, name := range []string{"absolute", "relative", "proc"} {
		if err := d.RemoveAll(name); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

func TestResolveFollowsLinksInside(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/..gen", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/..gen/f", "1")
	for name, target := range map[string]string{"..data": "..gen", "f": "..data/f"} {
		if err := os.Symlink(target, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	h := must[*rootfd.Dir](t)(open(t, dir).Resolve("f", 0o777))
	defer h.Close()
	if got, err := os.ReadFile(h.Path()); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
	made := must[*rootfd.Dir](t)(open(t, dir).Resolve("new/deep", 0o777))
	defer made.Close()
	if isDir, err := made.IsDir(); err != nil || !isDir {
		t.Errorf("%v, %v", isDir, err)
	}
}

func TestTmpfsAndBind(t *testing.T) {
	dir := t.TempDir()
	root := open(t, dir)
	v := must[*rootfd.Dir](t)(root.MkdirAll("v", 0o777))
	defer v.Close()
	if err := v.MountTmpfs(rootfd.Tmpfs{Size: 1 << 20, NoSwap: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir+"/v", unix.MNT_DETACH) })
	if m, err := root.MountPoint("v"); err != nil || !m {
		t.Fatalf("mounted: %v, %v", m, err)
	}
	inside := must[*rootfd.Dir](t)(root.Sub("v"))
	defer inside.Close()
	if on, err := inside.OnTmpfs(); err != nil || !on {
		t.Errorf("tmpfs: %v, %v", on, err)
	}
	if st, _ := inside.Stat(); st.Mode&0o7777 != 0o1777 {
		t.Errorf("mode %o", st.Mode)
	}
	write(t, dir+"/v/f", "old")
	if err := os.WriteFile(dir+"/v/big", make([]byte, 2<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("size: %v", err)
	}

	source := must[*rootfd.Dir](t)(inside.Resolve("f", 0))
	defer source.Close()
	target := must[*rootfd.Dir](t)(root.Touch("bound"))
	defer target.Close()
	if err := source.BindOnto(target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir+"/bound", unix.MNT_DETACH) })
	if err := os.Remove(dir + "/v/f"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dir + "/bound"); err != nil || string(got) != "old" {
		t.Errorf("bound: %q, %v", got, err)
	}

	if err := root.RemoveAll("v"); !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EBUSY) {
		t.Errorf("removing a mount: %v", err)
	}
	if _, err := os.Stat(dir + "/v/big"); err != nil {
		t.Errorf("what is mounted was removed: %v", err)
	}
	for _, name := range []string{"v", "bound", "v", "none"} { // also when nothing is left
		if err := root.Unmount(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"v", "bound", "none"} {
		if err := root.RemoveAll(name); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestRemoveAllOfDeepAndWideTrees(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/x/..deep-1/full", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/x/..deep-2", "in the way")
	for i := range 3 {
		deep := filepath.Join(dir, "x", string(rune('a'+i)), strings.Repeat("d/", 1500))
		if err := os.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, deep+"/f", "x")
	}
	for i := range 3000 {
		write(t, fmt.Sprintf("%s/x/wide%d", dir, i), "")
	}
	if err := open(t, dir).RemoveAll("x"); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}
