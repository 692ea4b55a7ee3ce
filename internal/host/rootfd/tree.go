//go:build linux

package rootfd

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of linux/mount.h, Linux 6.5.
const moveMountBeneath = 0x200

// ErrNoBeneath says that the kernel cannot put a mount beneath another.
var ErrNoBeneath = errors.New("the kernel cannot put a mount beneath another one (Linux 6.5 is needed)")

// Tree is a mount that is in no place yet: its file can be seen nowhere.
type Tree struct {
	fd   int
	name string // for errors
}

// Attributes are the settings of a mount.
type Attributes struct {
	// Flags are unix.MOUNT_ATTR_RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, STRICTATIME,
	// NODIRATIME and NOSYMFOLLOW; those that are missing are off.
	Flags uint64
	// Propagation is unix.MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE or MS_SHARED.
	Propagation uint64
}

// Clone makes a mount that shows the file or directory d, without what is mounted
// inside it. It must be closed.
func (d *Dir) Clone() (*Tree, error) {
	fd, err := unix.OpenTree(d.fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, d.fail("clone", "", err)
	}
	return &Tree{fd, d.name}, nil
}

// Close gives the handle up; a tree that was put nowhere is gone.
func (t *Tree) Close() error { return unix.Close(t.fd) }

// Set gives the mount exactly these settings. A mount that is made shared begins a
// peer group of its own.
func (t *Tree) Set(a Attributes) error {
	const all = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC |
		unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOSYMFOLLOW
	clear := uint64(all)
	if a.Flags&unix.MOUNT_ATTR_NOSYMFOLLOW == 0 {
		clear &^= unix.MOUNT_ATTR_NOSYMFOLLOW // kernels before 5.14 do not know it
	}
	first := a.Propagation
	if first == unix.MS_SHARED {
		first = unix.MS_PRIVATE
	}
	err := t.setAttr(unix.MountAttr{Attr_set: a.Flags, Attr_clr: clear, Propagation: first})
	if err == nil && first != a.Propagation {
		err = t.setAttr(unix.MountAttr{Propagation: a.Propagation})
	}
	if err != nil {
		return &fs.PathError{Op: "set attributes of mount", Path: t.name, Err: err}
	}
	return nil
}

func (t *Tree) setAttr(a unix.MountAttr) error {
	return unix.MountSetattr(t.fd, "", unix.AT_EMPTY_PATH, &a)
}

// Root is a handle on the file that the tree shows, in the tree: once the tree is in
// a place, it is a handle on that mount.
func (t *Tree) Root() (*Dir, error) {
	fd, err := unix.FcntlInt(uintptr(t.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: t.name, Err: err}
	}
	return &Dir{fd, t.name}, nil
}

// Beneath puts the tree beneath top, a handle on the root of a mount in the calling
// thread's mount namespace: nothing changes for anybody until top is taken off. Both
// must be files or both directories.
func (t *Tree) Beneath(top *Dir) error {
	err := unix.MoveMount(t.fd, "", top.fd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH|moveMountBeneath)
	if err != nil {
		return fmt.Errorf("putting %s beneath: %w", t.name, top.fail("mount", "", err))
	}
	return nil
}

// CanBeneath is nil where Beneath can work; ErrNoBeneath or the kernel's refusal
// otherwise.
func CanBeneath() error {
	err := unix.MoveMount(-1, "", -1, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH|moveMountBeneath)
	switch {
	case errors.Is(err, unix.EBADF): // it looked at the handles, so it knows the flag
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return ErrNoBeneath
	default:
		return fmt.Errorf("moving mounts is not permitted: %w", err)
	}
}

// MountID is the number of the mount that the handle is in, as in
// /proc/<pid>/mountinfo, and whether the handle is on its root. The number is not
// given to another mount as long as the handle is open.
func (d *Dir) MountID() (id uint64, root bool, err error) {
	var st unix.Statx_t
	if err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st); err != nil {
		return 0, false, d.fail("stat", "", err)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, false, fmt.Errorf("stat %s: the kernel does not tell mounts apart (Linux 5.8 is needed)", d.name)
	}
	return st.Mnt_id, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// Plain opens whatever is at name; no link is followed.
func (d *Dir) Plain(name string) (*Dir, error) { return d.child(name, unix.O_PATH, plain) }

// Detach takes off the mount that the handle is on, with all that is mounted on it.
// Its users keep what they have open.
func (d *Dir) Detach() error { return d.DetachBy(d.Path()) }

// DetachBy is Detach for a thread to which /proc/self does not lead to this process:
// link is a path to the handle's entry in this process's /proc/self/fd.
func (d *Dir) DetachBy(link string) error {
	if err := unix.Unmount(link, unix.MNT_DETACH); err != nil {
		return d.fail("unmount", "", err)
	}
	return nil
}

// Descriptor is the handle's number, valid until Close.
func (d *Dir) Descriptor() int { return d.fd }

// SameFile tells whether two handles are on the same file or directory.
func SameFile(a, b *Dir) (bool, error) {
	as, err := a.Stat()
	if err != nil {
		return false, err
	}
	bs, err := b.Stat()
	return as.Dev == bs.Dev && as.Ino == bs.Ino, err
}
