package place

import (
	"fmt"
	"path"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/podfields"
)

// Mount is a volume as a container gets it.
type Mount struct {
	// Name of the volume.
	Name string
	// HostPath is a directory or file on the node, ContainerPath where the container
	// sees it.
	HostPath, ContainerPath string
	ReadOnly                bool
	Propagation             corev1.MountPropagationMode
}

// MountsFor returns the mounts of a container of a pod whose volumes are set up, in
// the order of its volumeMounts. It is called at every start of a container: a
// subPath is resolved now, and what it leads to stays the container's until its next
// start, unless internal/volumes/freshpath follows it. The caller has expanded each
// subPathExpr of the container into its subPath. Volumes that show API content, and
// images, are always read-only.
func (m *Manager) MountsFor(spec *corev1.Pod, container string) ([]Mount, error) {
	done, err := m.use()
	if err != nil {
		return nil, err
	}
	defer done()
	c := podfields.Container(&spec.Spec, container)
	switch {
	case c == nil:
		return nil, fmt.Errorf("container %s not found", container)
	case len(c.VolumeMounts) > 0 && !m.Knows(spec.UID):
		return nil, fmt.Errorf("volumes of pod %s/%s are not set up", spec.Namespace, spec.Name)
	}
	var all []Mount
	for i := range c.VolumeMounts {
		mount, err := m.mountFor(spec.UID, container, i, &c.VolumeMounts[i])
		if err != nil {
			return nil, fmt.Errorf("volumeMounts[%d] of container %s: %w", i, container, err)
		}
		all = append(all, mount)
	}
	for i := range c.VolumeMounts {
		if err := m.nest(spec, c.VolumeMounts, all, i); err != nil {
			return nil, fmt.Errorf("volumeMounts[%d] of container %s: %w", i, container, err)
		}
	}
	return all, nil
}

func (m *Manager) mountFor(uid types.UID, container string, index int, mount *corev1.VolumeMount) (Mount, error) {
	s, ready := m.spot(uid, mount.Name)
	switch {
	case s == nil:
		return Mount{}, fmt.Errorf("the pod has no volume %q", mount.Name)
	case !ready:
		return Mount{}, fmt.Errorf("volume %q is not ready", mount.Name)
	case mount.SubPathExpr != "":
		return Mount{}, fmt.Errorf("subPathExpr %q is not expanded", mount.SubPathExpr)
	}
	if err := m.StillThere(uid, mount.Name); err != nil {
		return Mount{}, err
	}
	out := Mount{
		Name: mount.Name, HostPath: filepath.Join(m.path, s.dir), ContainerPath: path.Join("/", mount.MountPath),
		ReadOnly: mount.ReadOnly || s.readOnly(), Propagation: corev1.MountPropagationNone,
	}
	if mount.MountPropagation != nil {
		out.Propagation = *mount.MountPropagation
	}
	if s.source.HostPath != nil {
		return s.hostPathMount(container, index, mount, out)
	}
	if s.source.Image != nil {
		return s.imageMount(container, index, mount, out)
	}
	if mount.SubPath == "" {
		return out, nil
	}
	var err error
	out.HostPath, err = s.bindSubPath(container, index, mount.SubPath)
	return out, subPathError(mount.SubPath, err)
}
