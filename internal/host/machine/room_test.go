package machine

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A real file system with plenty of bytes and no inodes.
func TestFilesRunOutBeforeBytes(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,nr_inodes=100"); err != nil {
		t.Fatalf("mounting a tmpfs (the test needs root): %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	before, err := RoomOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if before.FewInodes() || before.AllInodes != 100 || before.AllBytes != 64<<20 {
		t.Errorf("empty: %+v", before)
	}
	for i := range before.Inodes {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", dir, i), nil, 0o600); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
	full, err := RoomOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !full.FewInodes() || full.Inodes != 0 || full.Bytes*10 < full.AllBytes*9 {
		t.Errorf("without inodes: %+v", full)
	}
	short, err := DiskShort(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !short {
		t.Error("no disk pressure where no file can be made")
	}
}

func TestInodesThatAreNotCountedAreNotFew(t *testing.T) {
	if (Room{Bytes: 1, AllBytes: 1}).FewInodes() {
		t.Error("a file system that does not count inodes is short of them")
	}
}
