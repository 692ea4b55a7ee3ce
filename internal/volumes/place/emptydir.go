package place

import (
	"errors"
	"io/fs"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/projection"
)

// mountEmptyDir makes an empty directory. What a pod has put there stays, and so do
// the modes it gave.
func (s *spot) mountEmptyDir(parent *rootfd.Dir, spec *corev1.Pod) error {
	before, err := s.there(parent)
	if err != nil {
		return err
	}
	var dir *rootfd.Dir
	if s.inMemory() {
		dir, err = s.tmpfs(parent, spec)
	} else {
		dir, err = parent.MkdirAll(s.source.Name, volumeMode)
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if limit := diskLimit(s.source); limit > 0 && s.m.cfg.Evict != nil && !s.measured {
		s.measured = true
		s.busy.Go(func() { s.watchSize(limit) })
	}
	if fresh, err := dir.Empty(); err != nil || !fresh {
		return err
	}
	if mode := s.source.EmptyDir.Mode; mode != nil && !before {
		if err := dir.Chmod(permissions(uint32(*mode))); err != nil {
			return err
		}
	}
	if group := projection.FSGroup(spec); group != nil {
		if err := share(dir, *group, 0o770); err != nil {
			return err
		}
	}
	return makeNested(dir, s.source.Name, spec)
}

// there tells whether the volume was made before.
func (s *spot) there(parent *rootfd.Dir) (bool, error) {
	if s.inMemory() {
		return parent.MountPoint(s.source.Name)
	}
	dir, err := parent.Sub(s.source.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, dir.Close()
}

// memorySize bounds an emptyDir in memory: the least of its sizeLimit, the pod's
// memory limit and what the node has.
func (m *Manager) memorySize(v *corev1.Volume, spec *corev1.Pod) int64 {
	allocatable := m.cfg.NodeAllocatable()
	size := allocatable.Memory().Value()
	least := func(n int64) {
		if n > 0 && (size <= 0 || n < size) {
			size = n
		}
	}
	least(publish.MemoryLimit(spec))
	if v.EmptyDir.SizeLimit != nil {
		least(v.EmptyDir.SizeLimit.Value())
	}
	return max(size, 0)
}
