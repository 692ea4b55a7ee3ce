package atomicdir

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"laterna.dev/laterna/internal/bounded"
)

// ops is every system call that changes or reads the directory, one method each, so
// that a test can stop the writer between any two of them or make one fail.
type ops struct {
	root *os.Root
	// before is asked ahead of each call; its error stands for the call's. Nil in
	// production.
	before func(op, name string) error
}

func (o ops) ask(op, name string) error {
	if o.before == nil {
		return nil
	}
	return o.before(op, name)
}

func (o ops) mkdir(name string, mode fs.FileMode) error {
	if err := o.ask("mkdir", name); err != nil {
		return err
	}
	return o.root.Mkdir(name, mode)
}

func (o ops) symlink(target, name string) error {
	if err := o.ask("symlink", name); err != nil {
		return err
	}
	return o.root.Symlink(target, name)
}

func (o ops) rename(from, to string) error {
	if err := o.ask("rename", from); err != nil {
		return err
	}
	return o.root.Rename(from, to)
}

func (o ops) remove(name string) error {
	if err := o.ask("remove", name); err != nil {
		return err
	}
	return ignoreMissing(o.root.Remove(name))
}

func (o ops) lchown(name string, uid, gid int) error {
	if err := o.ask("lchown", name); err != nil {
		return err
	}
	return o.root.Lchown(name, uid, gid)
}

// removeTree is RemoveAll with a stop before every entry, files first.
func (o ops) removeTree(name string) error {
	if o.before != nil {
		if err := o.removeSlowly(name); err != nil {
			return err
		}
	}
	return ignoreMissing(o.root.RemoveAll(name))
}

func (o ops) removeSlowly(name string) error {
	if info, err := o.root.Lstat(name); err != nil || !info.IsDir() {
		return errors.Join(ignoreMissing(err), o.remove(name))
	}
	root, err := o.root.OpenRoot(name)
	if err != nil {
		return ignoreMissing(err)
	}
	defer root.Close()
	in := ops{root: root, before: o.before}
	entries, err := in.list(".")
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		remove := in.remove
		if e.IsDir() {
			remove = in.removeSlowly
		}
		if err := remove(e.Name()); err != nil {
			return err
		}
	}
	return o.remove(name)
}

// writeFile creates name, which must not exist, with exactly this content, mode and
// owner.
func (o ops) writeFile(name string, file *File) error {
	if err := o.ask("create", name); err != nil {
		return err
	}
	f, err := o.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = o.fill(f, file)
	return errors.Join(err, f.Close())
}

func (o ops) fill(f *os.File, file *File) error {
	if err := o.ask("write", file.Path); err != nil {
		return err
	}
	if len(file.Data) > 0 {
		if _, err := f.Write(file.Data); err != nil {
			return err
		}
	}
	if err := o.ask("chown", file.Path); err != nil {
		return err
	}
	if err := setOwner(f, file.UID, file.GID); err != nil {
		return err
	}
	if err := o.ask("chmod", file.Path); err != nil {
		return err
	}
	return f.Chmod(file.Mode)
}

// setDir gives the directory name its final group and mode.
func (o ops) setDir(name string, group *int64) error {
	if err := o.ask("setdir", name); err != nil {
		return err
	}
	f, err := o.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return finishDir(f, group)
}

func (o ops) readFile(name string) ([]byte, error) {
	if err := o.ask("read", name); err != nil {
		return nil, err
	}
	return bounded.Below(o.root, name, MaxFile)
}

// list returns the entries of a directory, unsorted.
func (o ops) list(name string) ([]fs.DirEntry, error) {
	if err := o.ask("list", name); err != nil {
		return nil, err
	}
	f, err := o.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
