//go:build linux

package rootfd_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
)

func TestTreeTakesThePlaceOfAMount(t *testing.T) {
	if err := rootfd.CanBeneath(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir+"/old", "old")
	write(t, dir+"/new", "new")
	write(t, dir+"/place", "below")
	root := open(t, dir)
	was := must[*rootfd.Dir](t)(root.Plain("old"))
	defer was.Close()
	place := must[*rootfd.Dir](t)(root.Plain("place"))
	defer place.Close()
	if err := was.BindOnto(place); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Unmount("place") })
	mounted := must[*rootfd.Dir](t)(root.Plain("place"))
	defer mounted.Close()
	id, isRoot, err := mounted.MountID()
	if _, below, _ := place.MountID(); err != nil || !isRoot || below {
		t.Errorf("mount %d, root %v, %v; the file below is a root: %v", id, isRoot, err, below)
	}

	now := must[*rootfd.Dir](t)(root.Plain("new"))
	defer now.Close()
	if same, err := rootfd.SameFile(mounted, now); same || err != nil {
		t.Errorf("same: %v, %v", same, err)
	}
	if same, err := rootfd.SameFile(mounted, was); !same || err != nil {
		t.Errorf("not the same: %v, %v", same, err)
	}
	tree, err := now.Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := tree.Set(rootfd.Attributes{Flags: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOATIME, Propagation: unix.MS_PRIVATE}); err != nil {
		t.Fatal(err)
	}
	if err := tree.Beneath(mounted); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dir + "/place"); string(got) != "old" {
		t.Errorf("beneath: %q", got)
	}
	if err := mounted.Detach(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dir + "/place"); string(got) != "new" {
		t.Errorf("taken off: %q", got)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir+"/place", &st); err != nil || st.Flags&(unix.ST_RDONLY|unix.ST_NOEXEC|unix.ST_NOATIME) != unix.ST_RDONLY|unix.ST_NOEXEC|unix.ST_NOATIME {
		t.Errorf("flags %x, %v", st.Flags, err)
	}
	if err := os.WriteFile(dir+"/place", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing: %v", err)
	}
}

func TestTreeGoesNowhereElse(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/f", "x")
	root := open(t, dir)
	f := must[*rootfd.Dir](t)(root.Plain("f"))
	defer f.Close()
	tree, err := f.Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := tree.Beneath(f); !errors.Is(err, unix.EINVAL) {
		t.Errorf("beneath what is no mount: %v", err)
	}
	if err := f.Detach(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("taking off what is no mount: %v", err)
	}
	if err := os.Symlink("f", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Plain("link"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
}
