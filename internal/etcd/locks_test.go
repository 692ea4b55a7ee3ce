package etcd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLockedStoreNamesWhoHasIt holds each of the locks that the library takes while
// another process opens the store.
func TestLockedStoreNamesWhoHasIt(t *testing.T) {
	t.Parallel()
	dir, last := written(t, false)
	for name, lock := range map[string]func(*os.File) error{
		store(dir).db(): func(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) },
		store(dir).wal(t): func(f *os.File) error {
			return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		},
	} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock(f); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s is locked by process %d (%.15s); end that process", name, os.Getpid(), filepath.Base(os.Args[0]))
		if got := opened(t, dir); !strings.Contains(got, want) {
			t.Errorf("%s; want %s", got, want)
		}
		f.Close()
	}
	if got := opened(t, dir); got != fmt.Sprint("has ", last) {
		t.Errorf("after the locks are gone: %s", got)
	}
}
