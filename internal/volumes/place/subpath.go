package place

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/publish"
)

// subPathsDir is the directory of a pod that holds the binds of its subPaths, below
// it <volume>/<container>/<index of the volumeMount>.
const subPathsDir = "volume-subpaths"

// bindSubPath binds the file or directory at subPath to a place of the container's
// own, so that the container keeps this very file whatever is swapped later, and no
// link in the volume can lead out of it. What is missing is made as a directory with
// the volume's mode.
func (s *spot) bindSubPath(container string, index int, subPath string) (string, error) {
	if path.IsAbs(subPath) || slices.Contains(strings.Split(subPath, "/"), "..") {
		return "", fmt.Errorf("subPath %q must be relative and must not contain '..'", subPath)
	}
	if err := publish.CheckSegment(container); err != nil {
		return "", err
	}
	s.binds.Lock() // two starts of a container, or its end, may meet here
	defer s.binds.Unlock()
	if s.ended {
		return "", fmt.Errorf("the pod's volumes are torn down")
	}
	file, err := s.resolve(subPath)
	if err != nil {
		return "", err
	}
	defer file.Close()
	place := path.Join(string(s.uid), subPathsDir, s.source.Name, container)
	parent, err := s.m.root.MkdirAll(place, dirMode)
	if err != nil {
		return "", err
	}
	defer parent.Close()
	attach := file.BindOnto
	if s.source.HostPath != nil {
		attach = file.BindSlaveOnto
	}
	if err := bind(file, parent, strconv.Itoa(index), attach); err != nil {
		return "", err
	}
	return filepath.Join(s.m.path, place, strconv.Itoa(index)), nil
}

// subPathError is err without the node's path, since it goes into the pod's status.
func subPathError(subPath string, err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP):
		return fmt.Errorf("subPath %q leads out of the volume", subPath)
	case errors.As(err, &at):
		return fmt.Errorf("subPath %q: %s: %w", subPath, at.Op, at.Err)
	}
	return err
}

// resolve opens what is at subPath now.
func (s *spot) resolve(subPath string) (*rootfd.Dir, error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	subPath = path.Clean(subPath)
	if s.shows() && subPath != "." {
		// Not by the volume's own links: in a sticky directory the kernel may refuse to
		// follow those of another user (fs.protected_symlinks), as a token's link is.
		file, err := root.Lookup("..data/" + subPath)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	st, err := root.Stat()
	if err != nil {
		return nil, err
	}
	return root.Resolve(subPath, permissions(st.Mode))
}

// openRoot opens the volume's own directory.
func (s *spot) openRoot() (*rootfd.Dir, error) {
	if s.source.HostPath != nil {
		return rootfd.Open(hostPath(s.source))
	}
	return s.m.root.Sub(s.dir)
}

// permissions are the permission bits and the sticky bit of a file.
func permissions(mode uint32) fs.FileMode {
	bits := fs.FileMode(mode & 0o777)
	if mode&unix.S_ISVTX != 0 {
		bits |= fs.ModeSticky
	}
	return bits
}

// bind has file attached to the new entry name below parent, in place of an earlier one.
func bind(file, parent *rootfd.Dir, name string, attach func(target *rootfd.Dir) error) error {
	if err := parent.Unmount(name); err != nil {
		return err
	}
	if err := parent.RemoveAll(name); err != nil {
		return err
	}
	isDir, err := file.IsDir()
	if err != nil {
		return err
	}
	var target *rootfd.Dir
	if isDir {
		target, err = parent.MkdirAll(name, dirMode)
	} else {
		target, err = parent.Touch(name)
	}
	if err != nil {
		return err
	}
	defer target.Close()
	return attach(target)
}
