//go:build !windows

package atomicdir

import (
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

const dirMode = 0o755

// setOwner gives f to uid and gid where they are set.
func setOwner(f *os.File, uid, gid *int64) error {
	if uid == nil && gid == nil {
		return nil
	}
	return f.Chown(number(uid), number(gid))
}

// keptID and keptMode are what stays of a tree's wishes.
func keptID(id *int64, otherwise int64) int64 {
	if id == nil {
		return otherwise
	}
	return *id
}

func keptMode(mode fs.FileMode) fs.FileMode { return mode }

// inherited tells who owns what this process creates in a directory. Only Linux asks
// for the setgid bit; the BSDs always pass on the directory's group.
func inherited(dir fs.FileInfo) ids {
	own := ids{int64(os.Geteuid()), int64(os.Getegid())}
	stat, ok := dir.Sys().(*syscall.Stat_t)
	if ok && (dir.Mode()&fs.ModeSetgid != 0 || runtime.GOOS != "linux") {
		own.gid = int64(stat.Gid)
	}
	return own
}

func ownersOf(info fs.FileInfo) (uid, gid *int64) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, nil
	}
	u, g := int64(stat.Uid), int64(stat.Gid)
	return &u, &g
}

// groupOf returns the group that a directory of a generation was given, or nil.
func groupOf(dir fs.FileInfo) *int64 {
	if dir.Mode()&fs.ModeSetgid == 0 {
		return nil
	}
	_, gid := ownersOf(dir)
	return gid
}

// finishDir opens a finished directory to its readers. The setgid bit comes last
// because a change of owner clears it.
func finishDir(f *os.File, group *int64) error {
	if group == nil {
		return f.Chmod(dirMode)
	}
	if err := f.Chown(-1, number(group)); err != nil {
		return err
	}
	return f.Chmod(dirMode | os.ModeSetgid)
}

// ownedBy tells whether an entry belongs to uid (nil: this process) and, where it is
// set, to gid.
func ownedBy(info fs.FileInfo, uid, gid *int64) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	wantUID := os.Geteuid()
	if uid != nil {
		wantUID = number(uid)
	}
	return int(stat.Uid) == wantUID && (gid == nil || int(stat.Gid) == number(gid))
}

// sameDir tells whether a directory of a generation has its final mode and group.
func sameDir(info fs.FileInfo, group *int64) bool {
	want := fs.FileMode(dirMode)
	if group != nil {
		want |= os.ModeSetgid
	}
	return info.Mode()&(fs.ModePerm|os.ModeSetgid) == want && ownedBy(info, nil, group)
}

func sameMode(info fs.FileInfo, want fs.FileMode) bool { return info.Mode().Perm() == want }

// linkOwner gives the root link name to this process and to gid.
func linkOwner(o ops, name string, info fs.FileInfo, gid *int64) error {
	if info != nil && ownedBy(info, nil, gid) || info == nil && gid == nil {
		return nil
	}
	return o.lchown(name, os.Geteuid(), number(gid))
}

func number(id *int64) int {
	if id == nil {
		return -1
	}
	return int(*id)
}

// swap makes the link tmp the new ..data.
func swap(o ops, tmp string) error { return o.rename(tmp, dataLink) }
