//go:build linux

package rootfd_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
)

func TestReadFileStaysInItsDirectory(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "volume")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "outside"), "secret")
	write(t, filepath.Join(dir, "sub", "file"), "inside")
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", 11))
	for name, to := range map[string]string{
		"link": "sub/../sub/file", "up": "../outside", "absolute": filepath.Join(top, "outside"), "process": "/proc/self/environ", "loop": "loop", "dangling": "none",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	for _, name := range []string{"sub/file", "link", "./sub//file"} {
		if got, err := d.ReadFile(name, 10); string(got) != "inside" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]error{
		"up": unix.EXDEV, "absolute": unix.EXDEV, "process": unix.EXDEV, "../outside": unix.EXDEV, "loop": unix.ELOOP,
		"dangling": fs.ErrNotExist, "none": fs.ErrNotExist, "sub/file/x": unix.ENOTDIR,
		"pipe": rootfd.ErrNotRegular, "sub": rootfd.ErrNotRegular, ".": rootfd.ErrNotRegular, "large": rootfd.ErrTooLarge,
	} {
		if got, err := d.ReadFile(name, 10); got != nil || !errors.Is(err, want) {
			t.Errorf("%s: %q, %v; want %v", name, got, err, want)
		}
	}
}

func TestReadFileLeavesMountsAlone(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	mount, err := d.MkdirAll("mount", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	if err := mount.MountTmpfs(rootfd.Tmpfs{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Unmount("mount"); err != nil {
			t.Error(err)
		}
	})
	write(t, filepath.Join(dir, "mount", "file"), "x")
	if got, err := d.ReadFile("mount/file", 10); got != nil || !errors.Is(err, unix.EXDEV) {
		t.Errorf("%q, %v", got, err)
	}
}
