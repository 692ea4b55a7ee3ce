package place

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
)

const (
	hostDirMode  fs.FileMode = 0o755 // of directories that a hostPath volume makes
	hostFileMode fs.FileMode = 0o644 // of files
)

// hostKinds are the types of hostPath volumes that ask for something, each with the bits of
// a file's mode and the words for it that Kubernetes uses.
var hostKinds = map[corev1.HostPathType]struct {
	format uint32
	name   string
}{
	corev1.HostPathDirectory:         {unix.S_IFDIR, "directory"},
	corev1.HostPathDirectoryOrCreate: {unix.S_IFDIR, "directory"},
	corev1.HostPathFile:              {unix.S_IFREG, "file"},
	corev1.HostPathFileOrCreate:      {unix.S_IFREG, "file"},
	corev1.HostPathSocket:            {unix.S_IFSOCK, "socket file"},
	corev1.HostPathCharDev:           {unix.S_IFCHR, "character device"},
	corev1.HostPathBlockDev:          {unix.S_IFBLK, "block device"},
}

// hostPath is the absolute path on the node of a hostPath volume.
func hostPath(v *corev1.Volume) string { return path.Join("/", v.HostPath.Path) }

// prepareHostPath makes what a hostPath volume asks to be made where it is missing, and
// checks that what is there is of its type. It is done when the pod's volumes are set up,
// and again whenever a container starts, since the path is not the pod's own. Without a
// type nothing is asked, and the runtime makes a missing directory.
func prepareHostPath(v *corev1.Volume) error {
	if v.HostPath.Type == nil || *v.HostPath.Type == corev1.HostPathUnset {
		return nil
	}
	at, want := hostPath(v), *v.HostPath.Type
	kind, ok := hostKinds[want]
	if !ok {
		return fmt.Errorf("%s is an invalid volume type", want)
	}
	file, err := rootfd.OpenAny(at)
	if errors.Is(err, fs.ErrNotExist) {
		switch want {
		case corev1.HostPathDirectoryOrCreate:
			file, err = makeHostDir(at)
		case corev1.HostPathFileOrCreate:
			file, err = makeHostFile(at)
		default:
			return hostKindError(at, kind.name)
		}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	st, err := file.Stat()
	if err == nil && st.Mode&unix.S_IFMT != kind.format {
		err = hostKindError(at, kind.name)
	}
	return err
}

// hostKindError is Kubernetes' text.
func hostKindError(at, name string) error {
	return fmt.Errorf("hostPath type check failed: %s is not a %s", at, name)
}

// makeHostDir makes a directory of the node with its parents. Links are followed in what
// is there, and in what is made there are none.
func makeHostDir(at string) (*rootfd.Dir, error) {
	parent, err := rootfd.Open(path.Dir(at))
	if errors.Is(err, fs.ErrNotExist) {
		parent, err = makeHostDir(path.Dir(at))
	}
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	return parent.MkdirAll(path.Base(at), hostDirMode)
}

// makeHostFile makes an empty file in a directory that is there.
func makeHostFile(at string) (*rootfd.Dir, error) {
	parent, err := rootfd.Open(path.Dir(at))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	file, err := parent.Create(path.Base(at), hostFileMode)
	if errors.Is(err, fs.ErrExist) { // made by somebody else meanwhile
		return rootfd.OpenAny(at)
	}
	return file, err
}

// hostPathMount is what a container gets of a hostPath volume: the path itself, as mounts
// are to pass between it and the container where the pod asks for that; and a bind of the
// pod's own for a subPath, so that nobody who may write there can lead out of it.
func (s *spot) hostPathMount(container string, index int, mount *corev1.VolumeMount, out Mount) (Mount, error) {
	if err := prepareHostPath(s.source); err != nil {
		return Mount{}, err
	}
	out.HostPath = hostPath(s.source)
	if mount.SubPath == "" {
		return out, nil
	}
	if out.Propagation == corev1.MountPropagationBidirectional {
		return Mount{}, fmt.Errorf("mountPropagation Bidirectional cannot be had together with subPath %q of a hostPath volume; put the path into the volume's hostPath.path", mount.SubPath)
	}
	var err error
	out.HostPath, err = s.bindSubPath(container, index, mount.SubPath)
	return out, subPathError(mount.SubPath, err)
}
