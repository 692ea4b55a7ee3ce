//go:build linux

package rootfd_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

// watched is a context that looks at the heap the at-th time it is asked.
type watched struct {
	context.Context
	at   int
	heap uint64
}

func (w *watched) Err() error {
	if w.at--; w.at == 0 {
		w.heap = heap()
	}
	return w.Context.Err()
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestUsageHoldsNoNames has directories and links enough to fill memories with their
// names.
func TestUsageHoldsNoNames(t *testing.T) {
	path := scratch(t)
	long := strings.Repeat("x", 240)
	const wide = 15_000
	for i := range wide {
		if err := unix.Mkdir(filepath.Join(path, fmt.Sprintf("%s%d", long, i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir := open(t, path)
	if empty, err := dir.Empty(); empty || err != nil {
		t.Errorf("empty: %v, %v", empty, err)
	}
	before := heap()
	// The last directories are left for when the heap has been looked at.
	write(t, filepath.Join(path, long), "x")
	ctx := &watched{Context: t.Context(), at: wide}
	if n, err := dir.Usage(ctx, math.MaxInt64); n != 4096 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if ctx.at >= 0 || ctx.heap > before+(1<<20) {
		t.Errorf("held %d bytes when half was done (%d)", int64(ctx.heap)-int64(before), ctx.at)
	}
}

func TestEmpty(t *testing.T) {
	path := t.TempDir()
	dir := open(t, path)
	for _, want := range []bool{true, false} {
		if got, err := dir.Empty(); got != want || err != nil {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		write(t, filepath.Join(path, "f"), "x")
	}
}
