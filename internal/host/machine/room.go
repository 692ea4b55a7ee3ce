package machine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Room is what a file system has left for users without privileges, and how much it
// has in all.
type Room struct {
	Bytes, AllBytes uint64
	// Inodes are how many files can still be made. A file system that does not count
	// them, as btrfs, has AllInodes 0.
	Inodes, AllInodes uint64
}

// RoomOf measures the file system that dir is on.
func RoomOf(dir string) (Room, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return Room{}, fmt.Errorf("asking for the space on the disk under %s: %w", dir, err)
	}
	return RoomIn(disk), nil
}

// RoomIn is the room that an answer of statfs(2) tells of.
func RoomIn(disk unix.Statfs_t) Room {
	block := uint64(disk.Bsize)
	return Room{
		Bytes: disk.Bavail * block, AllBytes: disk.Blocks * block,
		Inodes: disk.Ffree, AllInodes: disk.Files,
	}
}

// FewInodes says that so few files can still be made that a kubelet would report disk
// pressure.
func (r Room) FewInodes() bool {
	return r.Inodes*100 < r.AllInodes*minInodeShare
}
