package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// forOthers are the permission bits of everybody but the owner.
const forOthers = 0o077

// ClosePrivate closes to others what holds keys or credentials, the directory of keys with
// what is in it and the kubeconfig, and returns what was open to them. Links are left
// alone. It fails where something belongs to another user, who could open it again.
func (d Dir) ClosePrivate() (opened []string, err error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, fmt.Errorf("looking after private files: %w", err)
	}
	defer root.Close()
	var errs []error
	see := func(name string, info fs.FileInfo) {
		was, err := closePrivate(root, name, info)
		if was {
			opened = append(opened, filepath.Join(d.Path, name))
		}
		errs = append(errs, err)
	}
	for _, top := range []string{filepath.Base(d.PKI()), filepath.Base(d.Kubeconfig())} {
		err := fs.WalkDir(root.FS(), top, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			see(name, info)
			return nil
		})
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	slices.Sort(opened)
	if err := errors.Join(errs...); err != nil {
		return opened, fmt.Errorf("closing private files to others: %w", err)
	}
	return opened, nil
}

// closePrivate closes one file or directory below root and tells whether it was open.
func closePrivate(root *os.Root, name string, info fs.FileInfo) (opened bool, err error) {
	mode := info.Mode()
	if !mode.IsRegular() && !mode.IsDir() {
		return false, nil
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return false, fmt.Errorf("%s belongs to user id %d and not to this process, which runs as %d: chown it, or run as its owner", filepath.Join(root.Name(), name), owner, os.Geteuid())
	}
	if mode.Perm()&forOthers == 0 {
		return false, nil
	}
	return true, root.Chmod(name, mode.Perm()&^forOthers)
}
