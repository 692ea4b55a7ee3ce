package place

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/projection"
)

// mountEmptyDir makes an empty directory. What a pod has put there stays, and so do
// the modes it gave.
func (m *Manager) mountEmptyDir(parent *rootfd.Dir, v *volume, spec *corev1.Pod) error {
	var dir *rootfd.Dir
	var err error
	if v.inMemory() {
		dir, err = m.tmpfs(parent, v, spec)
	} else {
		dir, err = parent.MkdirAll(v.source.Name, volumeMode)
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if limit := diskLimit(v.source); limit > 0 && m.cfg.Evict != nil && !v.measured {
		v.measured = true
		v.pod.busy.Go(func() { m.watchSize(v, limit) })
	}
	if fresh, err := dir.Empty(); err != nil || !fresh {
		return err
	}
	if group := projection.FSGroup(spec); group != nil {
		if err := share(dir, *group, 0o770); err != nil {
			return err
		}
	}
	return makeNested(dir, v.source.Name, spec)
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
	least(memoryLimit(spec))
	if v.EmptyDir.SizeLimit != nil {
		least(v.EmptyDir.SizeLimit.Value())
	}
	return max(size, 0)
}

// memoryLimit is what the containers of a pod may use together; 0 is no limit.
func memoryLimit(spec *corev1.Pod) (sum int64) {
	if spec.Spec.Resources != nil {
		if whole := spec.Spec.Resources.Limits.Memory().Value(); whole > 0 {
			return whole
		}
	}
	for i := range spec.Spec.Containers {
		one := spec.Spec.Containers[i].Resources.Limits.Memory().Value()
		if one == 0 {
			return 0
		}
		sum += one
	}
	return sum
}
