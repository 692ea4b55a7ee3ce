package place

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/podfields"
)

// makeNested makes the mount points that whole volumes need inside this one, which are
// directories, before the volume shows anything. Those of subPaths and of hostPath volumes
// are made when a container starts, see nest: only then is it known what they are.
func makeNested(dir *rootfd.Dir, name string, spec *corev1.Pod) error {
	for _, point := range nested(name, spec) {
		made, err := dir.MkdirAll(point, nestedMode)
		if err != nil {
			return err
		}
		made.Close()
	}
	return nil
}

// nested returns the paths inside the volume name at which containers of the pod
// mount whole volumes; not those inside another of these.
func nested(name string, spec *corev1.Pod) (points []string) {
	for _, c := range podfields.Containers(&spec.Spec) {
		for i := range c.VolumeMounts {
			inner := &c.VolumeMounts[i]
			outer, inside := around(c.VolumeMounts, i)
			if outer >= 0 && c.VolumeMounts[outer].Name == name && !partial(inner) && !partial(&c.VolumeMounts[outer]) && !ofHost(spec, inner.Name) {
				points = append(points, inside)
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// ofHost tells whether a volume of the pod is a path of the node.
func ofHost(spec *corev1.Pod, volume string) bool {
	return slices.ContainsFunc(spec.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume && v.HostPath != nil })
}

func partial(m *corev1.VolumeMount) bool { return m.SubPath != "" || m.SubPathExpr != "" }

// around returns which of mounts the one at i lies in, -1 for none, and where in it.
func around(mounts []corev1.VolumeMount, i int) (outer int, inside string) {
	at := func(m *corev1.VolumeMount) string {
		return strings.TrimSuffix(path.Join("/", m.MountPath), "/") + "/"
	}
	outer, longest, own := -1, 0, at(&mounts[i])
	for j := range mounts {
		rest, ok := strings.CutPrefix(own, at(&mounts[j]))
		if ok && rest != "" && len(own)-len(rest) > longest {
			outer, longest, inside = j, len(own)-len(rest), strings.TrimSuffix(rest, "/")
		}
	}
	return outer, inside
}

// nest makes the mount point that a container's mount at i needs inside another of its
// mounts: a file for a file, a directory for a directory. Where the outer one is mounted
// read-only, the runtime could not. What is there already stays.
func (m *Manager) nest(spec *corev1.Pod, mounts []corev1.VolumeMount, all []Mount, i int) error {
	j, inside := around(mounts, i)
	if j < 0 || ofHost(spec, mounts[j].Name) {
		return nil // what is missing in a path of the node, the runtime makes
	}
	isDir, err := m.isDir(all[i].HostPath)
	if err != nil {
		return err
	}
	outer, err := m.open(all[j].HostPath)
	if err != nil {
		return err
	}
	defer outer.Close()
	s, _ := m.spot(spec.UID, mounts[j].Name)
	content := s != nil && s.shows()
	refuse := func(why string) error {
		return fmt.Errorf("it cannot be mounted at %s inside volume %q, %s; mount it elsewhere", all[i].ContainerPath, mounts[j].Name, why)
	}
	lookup := outer.Lookup
	if content {
		lookup = outer.Plain // what the volume shows by a link is replaced with each update
	}
	there, err := lookup(inside)
	switch {
	case err == nil:
		defer there.Close()
		return point(there, isDir, refuse)
	case content && !errors.Is(err, fs.ErrNotExist):
		return refuse("which shows something there that its updates replace")
	case content && mounts[j].SubPath != "", s != nil && s.source.Image != nil && errors.Is(err, fs.ErrNotExist):
		return refuse("which is read-only and has nothing there")
	case errors.Is(err, fs.ErrNotExist):
		return makePoint(outer, inside, isDir)
	}
	return nil // a link that leads out of the volume: the runtime stays within the container
}

// point checks that what is there can be a mount point.
func point(there *rootfd.Dir, wantDir bool, refuse func(why string) error) error {
	switch isDir, err := there.IsDir(); {
	case err != nil:
		return err
	case isDir && !wantDir:
		return refuse("where a directory is: it is a file")
	case !isDir && wantDir:
		return refuse("where a file is: it is a directory")
	}
	return nil
}

// makePoint makes a mount point; where a link of the volume's user is in the way, that is
// left to the runtime.
func makePoint(outer *rootfd.Dir, inside string, isDir bool) error {
	parent, name := outer, inside
	if dir := path.Dir(inside); dir != "." && !isDir {
		made, err := outer.MkdirAll(dir, nestedMode)
		if err != nil {
			return unlessLink(err)
		}
		defer made.Close()
		parent, name = made, path.Base(inside)
	}
	var made *rootfd.Dir
	var err error
	if isDir {
		made, err = parent.MkdirAll(name, nestedMode)
	} else {
		made, err = parent.Touch(name)
	}
	if err != nil {
		return unlessLink(err)
	}
	return made.Close()
}

func unlessLink(err error) error {
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EXDEV) {
		return nil
	}
	return err
}

// open opens what lies at a path of the node in the pods directory.
func (m *Manager) open(hostPath string) (*rootfd.Dir, error) {
	rel, err := filepath.Rel(m.path, hostPath)
	if err != nil {
		return nil, err
	}
	return m.root.Plain(rel)
}

func (m *Manager) isDir(hostPath string) (bool, error) {
	file, err := rootfd.OpenAny(hostPath)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // of the node, where the runtime makes a directory
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	return file.IsDir()
}
