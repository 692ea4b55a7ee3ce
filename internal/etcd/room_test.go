package etcd_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The store writes on into the blocks that it has kept, when somebody else has taken all
// others.
func TestStoreGoesOnWritingOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=128m"); err != nil {
		t.Fatalf("mounting a tmpfs (the test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	s, e := start(t, filepath.Join(disk, "etcd"))
	defer s.Stop(t.Context())
	db := filepath.Join(disk, "etcd", "member", "snap", "db")
	for end := time.Now().Add(20 * time.Second); !whole(t, db); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the database has no blocks for all of its size")
		}
	}
	foreign, err := os.Create(filepath.Join(disk, "foreign"))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	for err == nil {
		_, err = foreign.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	client, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 16 {
		if _, err := client.Put(t.Context(), fmt.Sprint(i), strings.Repeat("x", 400_000)); err != nil {
			t.Fatalf("write %d of 400 kB: %v", i, err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// And it is opened again, on the disk that is still full.
	_, e = start(t, filepath.Join(disk, "etcd"))
	again, err := e.NewClient(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := again.Get(t.Context(), "15"); err != nil || len(got.Kvs) != 1 || len(got.Kvs[0].Value) != 400_000 {
		t.Errorf("what was written on the full disk: %v, %v", got, err)
	}
}

// whole tells whether a file of some size has blocks for all of it.
func whole(t *testing.T, file string) bool {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	return st.Size > 1<<20 && st.Blocks*512 >= st.Size
}
