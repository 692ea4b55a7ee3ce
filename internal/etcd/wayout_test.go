package etcd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNobodyIsToldToMoveAWholeStoreAway holds for causes that lie outside of the store.
func TestNobodyIsToldToMoveAWholeStoreAway(t *testing.T) {
	for _, cause := range []error{
		unix.ENOSPC, unix.EDQUOT, unix.EFBIG, unix.EROFS, unix.EACCES, unix.EPERM, unix.EMFILE, unix.ENFILE, unix.ENOMEM, errSlow, &lockedError{file: "db"},
	} {
		err := fmt.Errorf("opening: %w", &os.PathError{Op: "open", Path: "db", Err: cause})
		if got := wayOut("/data", err); strings.Contains(got, "damaged") || strings.Contains(got, "empty store") {
			t.Errorf("%v: %s", cause, got)
		}
	}
	if got := wayOut("/data", fmt.Errorf("page 7 is used twice")); !strings.Contains(got, "damaged") {
		t.Errorf("damage: %s", got)
	}
}
