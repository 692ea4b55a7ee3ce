package place

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// Content is a volume of API content, opened to see what its subPaths lead to now.
type Content struct {
	root *rootfd.Dir
	// Device is the number of the volume's file system, which no other has.
	Device uint64
}

// Content opens a volume of API content. Its error is fs.ErrNotExist when the pod has
// no such volume or it is not mounted. The caller closes it.
func (m *Manager) Content(uid types.UID, volume string) (*Content, error) {
	done, err := m.use()
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := m.content(uid, volume)
	if err != nil {
		return nil, err
	}
	return s.openContent()
}

func (m *Manager) content(uid types.UID, volume string) (*spot, error) {
	if !m.Knows(uid) {
		return nil, fmt.Errorf("pod %s: %w", uid, fs.ErrNotExist)
	}
	s, _ := m.spot(uid, volume)
	if s == nil || !s.shows() {
		return nil, fmt.Errorf("content of volume %q: %w", volume, fs.ErrNotExist)
	}
	// Asked of the kernel, since what an earlier process made counts too.
	mounted, err := m.root.MountPoint(s.dir)
	if err == nil && !mounted {
		err = fmt.Errorf("content of volume %q: %w", volume, fs.ErrNotExist)
	}
	return s, err
}

func (s *spot) openContent() (*Content, error) {
	root, err := s.m.root.Sub(s.dir)
	if err != nil {
		return nil, err
	}
	st, err := root.Stat()
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Content{root, uint64(st.Dev)}, nil
}

// Close gives the handle up.
func (c *Content) Close() error { return c.root.Close() }

// Open opens what a subPath leads to in the volume's published content, which the
// caller closes. Its error is fs.ErrNotExist when there is nothing.
func (c *Content) Open(subPath string) (*rootfd.Dir, error) {
	return c.root.Lookup(dataPrefix + subPath)
}

const (
	dataPrefix = "..data/"
	deleted    = "//deleted"
)

// SubPathOf is the subPath by which a mount of a volume of API content was made, from
// the root of the mount as mountinfo tells it: the path in a generation. A mount of
// the whole volume has none.
func SubPathOf(root string) (subPath string, ok bool) {
	at := path.Clean("/" + strings.TrimSuffix(root, deleted))[1:]
	if first, rest, found := strings.Cut(at, "/"); strings.HasPrefix(first, "..") {
		if !found {
			return ".", true // subPath ..data
		}
		return rest, true
	}
	return at, at != "" // made as a directory, since it was missing
}

// RenewSubPaths lets the pod's own binds of a volume's subPaths, by which the node
// holds what it gave to containers, show what is published now. What is gone from the
// volume stays. Nothing is done where the kernel cannot exchange mounts.
func (m *Manager) RenewSubPaths(uid types.UID, volume string) error {
	done, err := m.use()
	if err != nil {
		return err
	}
	defer done()
	s, err := m.content(uid, volume)
	if err != nil {
		return err
	}
	s.binds.Lock() // as bindSubPath
	defer s.binds.Unlock()
	if s.ended {
		return nil
	}
	content, err := s.openContent()
	if err != nil {
		return err
	}
	defer content.Close()
	base := filepath.Join(m.path, string(uid), subPathsDir, volume)
	binds, err := mounts.Under(base)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range binds {
		subPath, ok := SubPathOf(b.Root)
		if !ok || b.Device != content.Device {
			continue
		}
		if err := m.exchange(content, b, subPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("renewing subPath %q: %w", subPath, err))
		}
	}
	return errors.Join(errs...)
}

// exchange renews one bind.
func (m *Manager) exchange(content *Content, bind mounts.Mount, subPath string) error {
	now, err := content.Open(subPath)
	if err != nil {
		return err
	}
	defer now.Close()
	name, err := filepath.Rel(m.path, bind.Point)
	if err != nil {
		return err
	}
	was, err := m.root.Plain(name)
	if err != nil {
		return err
	}
	defer was.Close()
	if same, err := rootfd.SameFile(was, now); same || err != nil {
		return err
	}
	wasDir, err := was.IsDir()
	if err != nil {
		return err
	}
	if isDir, err := now.IsDir(); isDir != wasDir || err != nil {
		return err // of another kind: it stays until the container starts again
	}
	tree, err := now.Clone()
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := tree.Beneath(was); err != nil {
		return err
	}
	return was.Detach()
}
