package volumes

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
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/rootfd"
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
// start. Volumes that show API content are always read-only.
func (m *Manager) MountsFor(spec *corev1.Pod, container string) ([]Mount, error) {
	done, err := m.use()
	if err != nil {
		return nil, err
	}
	defer done()
	m.mu.Lock()
	p := m.pods[spec.UID]
	m.mu.Unlock()
	mounts, ok := mountsOf(spec, container)
	switch {
	case !ok:
		return nil, fmt.Errorf("container %s not found", container)
	case p == nil && len(mounts) > 0:
		return nil, fmt.Errorf("volumes of pod %s/%s are not set up", spec.Namespace, spec.Name)
	}
	var all []Mount
	for i := range mounts {
		mount, err := m.mountFor(p, container, i, &mounts[i])
		if err != nil {
			return nil, fmt.Errorf("volumeMounts[%d] of container %s: %w", i, container, err)
		}
		all = append(all, mount)
	}
	return all, nil
}

func (m *Manager) mountFor(p *pod, container string, index int, mount *corev1.VolumeMount) (Mount, error) {
	v := p.volume(mount.Name)
	switch {
	case v == nil:
		return Mount{}, fmt.Errorf("the pod has no volume %q", mount.Name)
	case !v.isReady():
		return Mount{}, fmt.Errorf("volume %q is not ready", mount.Name)
	case mount.SubPathExpr != "":
		return Mount{}, fmt.Errorf("subPathExpr is not supported, use subPath")
	}
	if err := m.stillMounted(v); err != nil {
		return Mount{}, err
	}
	out := Mount{
		Name: mount.Name, HostPath: filepath.Join(m.path, v.dir), ContainerPath: path.Join("/", mount.MountPath),
		ReadOnly: mount.ReadOnly || v.source.EmptyDir == nil, Propagation: corev1.MountPropagationNone,
	}
	if mount.MountPropagation != nil {
		out.Propagation = *mount.MountPropagation
	}
	if mount.SubPath == "" {
		return out, nil
	}
	var err error
	out.HostPath, err = m.bindSubPath(v, container, index, mount.SubPath)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP) {
		// Said without the node's path: it goes into the pod's status.
		return out, fmt.Errorf("subPath %q leads out of the volume", mount.SubPath)
	}
	return out, err
}

// stillMounted refuses a volume whose tmpfs somebody else unmounted, and has it made
// anew: a container must never get the bare directory below.
func (m *Manager) stillMounted(v *volume) error {
	if v.source.EmptyDir != nil && v.source.EmptyDir.Medium != corev1.StorageMediumMemory {
		return nil
	}
	v.mu.Lock() // a worker that is at it ends first
	defer v.mu.Unlock()
	mounted, err := m.root.MountPoint(v.dir)
	if err != nil || mounted && v.mounted {
		return err
	}
	v.lost()
	m.queue.Add(v)
	return fmt.Errorf("volume %q was unmounted by somebody else and is made anew, try again", v.source.Name)
}

func mountsOf(spec *corev1.Pod, container string) ([]corev1.VolumeMount, bool) {
	for i := range spec.Spec.InitContainers {
		if c := &spec.Spec.InitContainers[i]; c.Name == container {
			return c.VolumeMounts, true
		}
	}
	for i := range spec.Spec.Containers {
		if c := &spec.Spec.Containers[i]; c.Name == container {
			return c.VolumeMounts, true
		}
	}
	for i := range spec.Spec.EphemeralContainers {
		if c := &spec.Spec.EphemeralContainers[i]; c.Name == container {
			return c.VolumeMounts, true
		}
	}
	return nil, false
}

// bindSubPath binds the file or directory at subPath to a place of the container's
// own, so that the container keeps this very file whatever is swapped later, and no
// link in the volume can lead out of it. What is missing is made as a directory with
// the volume's mode.
func (m *Manager) bindSubPath(v *volume, container string, index int, subPath string) (string, error) {
	if path.IsAbs(subPath) || slices.Contains(strings.Split(subPath, "/"), "..") {
		return "", fmt.Errorf("subPath %q must be relative and must not contain '..'", subPath)
	}
	if err := checkSegment(container); err != nil {
		return "", err
	}
	v.pod.mu.Lock() // two starts of a container, or its end, may meet here
	defer v.pod.mu.Unlock()
	if v.pod.ctx.Err() != nil {
		return "", fmt.Errorf("the pod's volumes are torn down")
	}
	file, err := m.resolve(v, subPath)
	if err != nil {
		return "", fmt.Errorf("subPath: %w", err)
	}
	defer file.Close()
	place := path.Join(string(v.pod.uid), "volume-subpaths", v.source.Name, container)
	parent, err := m.root.MkdirAll(place, dirMode)
	if err != nil {
		return "", fmt.Errorf("subPath: %w", err)
	}
	defer parent.Close()
	if err := bind(file, parent, strconv.Itoa(index)); err != nil {
		return "", fmt.Errorf("subPath: %w", err)
	}
	return filepath.Join(m.path, place, strconv.Itoa(index)), nil
}

// resolve opens what is at subPath now.
func (m *Manager) resolve(v *volume, subPath string) (*rootfd.Dir, error) {
	root, err := m.root.Sub(v.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	subPath = path.Clean(subPath)
	if v.source.EmptyDir == nil && subPath != "." {
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
	return root.Resolve(subPath, fs.FileMode(st.Mode&0o777))
}

// bind mounts file on the new entry name below parent, in place of an earlier one.
func bind(file, parent *rootfd.Dir, name string) error {
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
	return file.BindOnto(target)
}
