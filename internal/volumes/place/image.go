package place

import (
	"errors"
	"fmt"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// ErrImageSubPath says that an image has nothing at a subPath. The word is Kubernetes'.
var ErrImageSubPath = errors.New("ImageVolumeMountFailed")

// ImageMounted tells whether an image volume of a pod has its image.
func (m *Manager) ImageMounted(uid types.UID, volume string) (bool, error) {
	done, err := m.use()
	if err != nil {
		return false, err
	}
	defer done()
	s, err := m.imageSpot(uid, volume)
	if err != nil {
		return false, err
	}
	return m.root.MountPoint(s.dir)
}

// MountImage gives an image volume of a pod the files of an image, the topmost of their
// directories first, unless it has some. What is mounted stays until Teardown, as what the
// name of the image leads to may change.
func (m *Manager) MountImage(uid types.UID, volume string, layers func() ([]string, error)) error {
	done, err := m.use()
	if err != nil {
		return err
	}
	defer done()
	s, err := m.imageSpot(uid, volume)
	if err != nil {
		return err
	}
	s.binds.Lock()
	defer s.binds.Unlock()
	if s.ended {
		return errors.New("the pod's volumes are torn down")
	}
	if mounted, err := m.root.MountPoint(s.dir); err != nil || mounted {
		return err
	}
	dirs, err := layers()
	if err != nil {
		return err
	}
	dir, err := m.root.Sub(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return mounts.Layers(dir.Path(), dirs)
}

func (m *Manager) imageSpot(uid types.UID, volume string) (*spot, error) {
	s, ready := m.spot(uid, volume)
	if s == nil || !ready || s.source.Image == nil {
		return nil, fmt.Errorf("the pod has no image volume %q that is ready", volume)
	}
	return s, nil
}

// makeImageDir makes the directory that the image is mounted on.
func (s *spot) makeImageDir(parent *rootfd.Dir) error {
	if mounted, err := parent.MountPoint(s.source.Name); err != nil || mounted {
		return err
	}
	dir, err := parent.MkdirAll(s.source.Name, volumeMode)
	if err != nil {
		return err
	}
	return dir.Close()
}

// imageMount is what a container gets of an image volume. A subPath is a bind of the pod's
// own, of what is there: nothing can be made in an image.
func (s *spot) imageMount(container string, index int, mount *corev1.VolumeMount, out Mount) (Mount, error) {
	mounted, err := s.m.root.MountPoint(s.dir)
	if err == nil && !mounted {
		err = fmt.Errorf("volume %q: the image is not mounted", mount.Name)
	}
	if err != nil || mount.SubPath == "" {
		return out, err
	}
	root, err := s.openRoot()
	if err != nil {
		return Mount{}, err
	}
	defer root.Close()
	file, err := root.Lookup(mount.SubPath)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Mount{}, fmt.Errorf("%w: the image %s has no file or directory %q (subPath)", ErrImageSubPath, s.source.Image.Reference, mount.SubPath)
		}
		return Mount{}, subPathError(mount.SubPath, err)
	}
	file.Close()
	out.HostPath, err = s.bindSubPath(container, index, mount.SubPath)
	return out, subPathError(mount.SubPath, err)
}
