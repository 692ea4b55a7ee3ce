//go:build linux

package rootfd

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Tmpfs is how a tmpfs is mounted.
type Tmpfs struct {
	// Size bounds its content, in bytes, rounded up to pages; zero is the kernel's
	// default, half of the memory.
	Size int64
	// Inodes bounds its files, directories and links; zero is the kernel's default, one
	// for each page of half of the memory.
	Inodes int64
	// NoSwap keeps its pages in memory. Kernels before 6.4 do not know it and mount
	// without it.
	NoSwap bool
}

// ErrInUse says that a tmpfs holds more than it is to be bounded to.
var ErrInUse = errors.New("it holds more than that")

// MountTmpfs mounts a new tmpfs onto the directory d. The handle stays on what is
// below the mount: open it again to work inside.
func (d *Dir) MountTmpfs(o Tmpfs) error {
	err := o.withSwap(d.mountTmpfs)
	if err != nil {
		return d.fail("mount tmpfs", "", err)
	}
	return nil
}

// withSwap tries o, and o without NoSwap where the kernel does not know that.
func (o Tmpfs) withSwap(do func(Tmpfs) error) error {
	err := do(o)
	if o.NoSwap && errors.Is(err, unix.EINVAL) {
		o.NoSwap = false
		err = do(o)
	}
	return err
}

func (d *Dir) mountTmpfs(o Tmpfs) error {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", "tmpfs"); err != nil {
		return err
	}
	if err := o.configure(fs); err != nil {
		return err
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return attach(mount, d.fd)
}

func (o Tmpfs) configure(fs int) error {
	if o.NoSwap {
		if err := unix.FsconfigSetFlag(fs, "noswap"); err != nil {
			return err
		}
	}
	for key, value := range map[string]int64{"size": o.Size, "nr_inodes": o.Inodes} {
		if value <= 0 {
			continue
		}
		if err := unix.FsconfigSetString(fs, key, strconv.FormatInt(value, 10)); err != nil {
			return err
		}
	}
	return nil
}

// ResizeTmpfs changes the bounds of the tmpfs whose root d is, wherever it is mounted;
// those that are zero in o stay. NoSwap must be as it was mounted. The error is
// ErrInUse (wrapped) when it holds more than o allows; then nothing changes.
func (d *Dir) ResizeTmpfs(o Tmpfs) error {
	err := o.withSwap(func(o Tmpfs) error {
		fs, err := unix.Fspick(d.fd, "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)
		if err != nil {
			return err
		}
		defer unix.Close(fs)
		if err := o.configure(fs); err != nil {
			return err
		}
		return unix.FsconfigReconfigure(fs)
	})
	if err == nil {
		return nil
	}
	if holds, look := d.holdsMore(o); look == nil && holds {
		err = ErrInUse
	}
	return d.fail("resize tmpfs", "", err)
}

// holdsMore tells whether more of the tmpfs is in use than o allows.
func (d *Dir) holdsMore(o Tmpfs) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return false, err
	}
	used := int64(st.Blocks-st.Bfree) * int64(st.Bsize)
	return o.Size > 0 && used > o.Size || o.Inodes > 0 && int64(st.Files-st.Ffree) > o.Inodes, nil
}

// TmpfsBounds returns the bounds of the tmpfs that d is on: its size in bytes, and how
// many inodes it may have.
func (d *Dir) TmpfsBounds() (size, inodes int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return 0, 0, d.fail("statfs", "", err)
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Files), nil
}

// BindOnto makes the file or directory d visible at target, which must be of the
// same kind. It stays d's file, whatever happens to the name it was opened by.
func (d *Dir) BindOnto(target *Dir) error {
	tree, err := unix.OpenTree(d.fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return d.fail("clone", "", err)
	}
	defer unix.Close(tree)
	if err := attach(tree, target.fd); err != nil {
		return fmt.Errorf("binding %s: %w", d.name, target.fail("mount", "", err))
	}
	return nil
}

// BindSlaveOnto is BindOnto without what is mounted inside d, for a directory that others
// own: what they mount there later appears at target too, and what is done at target,
// unmounting above all, does not reach them.
func (d *Dir) BindSlaveOnto(target *Dir) error {
	tree, err := d.Clone()
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := tree.setAttr(unix.MountAttr{Propagation: unix.MS_SLAVE}); err != nil {
		return d.fail("set propagation", "", err)
	}
	if err := attach(tree.fd, target.fd); err != nil {
		return fmt.Errorf("binding %s: %w", d.name, target.fail("mount", "", err))
	}
	return nil
}

func attach(mount, onto int) error {
	return unix.MoveMount(mount, "", onto, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// MountPoint tells whether something is mounted on name below d. A missing name is
// no mount point.
func (d *Dir) MountPoint(name string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, d.fail("stat", name, err)
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, fmt.Errorf("stat %s: the kernel does not tell mount points (Linux 5.8 is needed)", d.name)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// OnTmpfs tells whether the handle is on a tmpfs.
func (d *Dir) OnTmpfs() (bool, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return false, d.fail("statfs", "", err)
	}
	return st.Type == unix.TMPFS_MAGIC, nil
}

// Unmount removes every mount from name below d. Its users keep what they have open.
func (d *Dir) Unmount(name string) error {
	for {
		mounted, err := d.MountPoint(name)
		if err != nil || !mounted {
			return err
		}
		if err := unix.Unmount(d.Path()+"/"+name, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return d.fail("unmount", name, err)
		}
	}
}
