package images

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// keepFree is what an import leaves of a file system, or one keepPart of it if that
	// is less: a full disk stops the store and every pod.
	keepFree = 1 << 30
	keepPart = 20
)

// need is what an import is going to take of the disk.
type need struct {
	bytes int64
	files int64
}

// disk is the file system of a directory.
type disk struct{ dir string }

// room tells why the disk cannot take what is needed. It is a look, not a reservation.
func (d disk) room(n need) error {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return fmt.Errorf("looking at the free space of the data directory: %w", err)
	}
	unit := int64(st.Bsize)
	free, keep := int64(st.Bavail)*unit, min(int64(st.Blocks)*unit/keepPart, keepFree)
	if n.bytes > 0 && n.bytes > free-keep {
		return fmt.Errorf("%s are needed and %s are free on the disk of the data directory, of which %s are kept free: remove images (laterna image rm) or enlarge the disk", quantity(n.bytes), quantity(free), quantity(keep))
	}
	// Some file systems make inodes as they go and count none.
	if inodes := int64(st.Ffree); st.Files > 0 && n.files > inodes-int64(st.Files)/keepPart {
		return fmt.Errorf("%d files are to be made and the disk of the data directory has room for %d, of which some are kept free: remove images (laterna image rm) or enlarge the disk", n.files, inodes)
	}
	return nil
}
