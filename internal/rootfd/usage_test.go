//go:build linux

package rootfd_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func usage(t *testing.T, path string, enough int64) int64 {
	t.Helper()
	dir := open(t, path)
	n, err := dir.Usage(t.Context(), enough)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// scratch is a directory on a tmpfs of its own, where a page takes 4096 bytes and
// directories take nothing.
func scratch(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestUsageCountsEachFileOnce(t *testing.T) {
	path, outside := scratch(t), t.TempDir()
	write(t, filepath.Join(outside, "large"), string(make([]byte, 1<<20)))
	if err := errors.Join(
		os.MkdirAll(filepath.Join(path, "a/b/c"), 0o700), os.Mkdir(filepath.Join(path, "mounted"), 0o700),
		os.WriteFile(filepath.Join(path, "a/b/c/two"), make([]byte, 5000), 0o600),
		os.Link(filepath.Join(path, "a/b/c/two"), filepath.Join(path, "again")),
		os.Symlink(outside, filepath.Join(path, "a/out")), os.Symlink(filepath.Join(outside, "large"), filepath.Join(path, "link")),
		os.Truncate(filepath.Join(path, "again"), 4096), unix.Mount(outside, filepath.Join(path, "mounted"), "", unix.MS_BIND, ""),
	); err != nil {
		t.Fatal(err)
	}
	sparse, err := os.Create(filepath.Join(path, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sparse.Truncate(1<<30), sparse.Close()); err != nil {
		t.Fatal(err)
	}
	if n := usage(t, path, math.MaxInt64); n != 4096 {
		t.Errorf("%d bytes, want 4096", n)
	}
	if err := unix.Unmount(filepath.Join(path, "mounted"), 0); err != nil {
		t.Fatal(err)
	}
}

func TestUsageOfDeepAndWideTrees(t *testing.T) {
	path := scratch(t)
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 { // far beyond what a path can name
		if err := unix.Mkdirat(at, "directory", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, "directory", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(at)
		at = next
	}
	for i := range 3000 {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		fd, err := unix.Openat(at, name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fd, []byte("x")); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	unix.Close(at)
	if n := usage(t, path, math.MaxInt64); n != 3000*4096 {
		t.Errorf("%d bytes, want %d", n, 3000*4096)
	}
	if n := usage(t, path, 4096); n <= 4096 || n > 1025*4096 {
		t.Errorf("%d bytes, though little more than 4096 were enough", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, path).Usage(ctx, math.MaxInt64); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
