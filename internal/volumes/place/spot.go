package place

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

const (
	dirMode    fs.FileMode = 0o700 // of the directories that lead to a volume
	volumeMode fs.FileMode = 0o777 // of a volume's directory
	nestedMode fs.FileMode = 0o755 // of mount points inside a volume
)

// spot is where a volume of a pod lies, as publish.Place: a tmpfs, a directory for an
// emptyDir on disk and for the mount of an image, or a path of the node's own for a
// hostPath.
type spot struct {
	m      *Manager
	uid    types.UID
	source *corev1.Volume  // part of the pod's spec, which cannot change
	dir    string          // below the pods directory
	ctx    context.Context // ends when the pod is torn down
	spec   atomic.Pointer[corev1.Pod]
	busy   sync.WaitGroup // goroutines that work for the volume

	// What follows belongs to the publisher's worker that has the volume.
	content  *atomicdir.Dir // of volumes that show API content, once opened
	measured bool           // of an emptyDir with a limit, once that is watched
	bounds   rootfd.Tmpfs   // of a mounted tmpfs, zero where they are not what they shall be
	grown    bool           // beyond bounds, for a while

	binds sync.Mutex // held while binds of subPaths are made; guards ended
	ended bool
}

// place returns a volume's spot. It makes nothing yet.
func (m *Manager) place(ctx context.Context, spec *corev1.Pod, index int) publish.Place {
	source := &spec.Spec.Volumes[index]
	s := &spot{
		m: m, uid: spec.UID, source: source, ctx: ctx,
		dir: path.Join(string(spec.UID), "volumes", "kubernetes.io~"+plugin(source), source.Name),
	}
	s.spec.Store(spec)
	return s
}

// plugin is the name that Kubernetes gives a kind of volume in paths.
func plugin(v *corev1.Volume) string {
	switch kind := projection.Kind(v); kind {
	case "configMap":
		return "configmap"
	case "downwardAPI":
		return "downward-api"
	case "emptyDir":
		return "empty-dir"
	case "hostPath":
		return "host-path"
	default:
		return kind
	}
}

// Open implements publish.Place.
func (s *spot) Open(spec *corev1.Pod) (*atomicdir.Dir, error) {
	s.spec.Store(spec)
	if s.source.HostPath != nil {
		return nil, prepareHostPath(s.source)
	}
	parent, err := s.m.root.MkdirAll(filepath.Dir(s.dir), dirMode)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	switch {
	case s.source.EmptyDir != nil:
		err = s.mountEmptyDir(parent, spec)
	case s.source.Image != nil:
		err = s.makeImageDir(parent)
	default:
		err = s.mountContent(parent, spec)
	}
	if err != nil {
		return nil, err
	}
	return s.content, nil
}

// shows tells whether the volume shows API content.
func (s *spot) shows() bool { return projection.Projected(s.source) }

// readOnly tells whether no container may write to the volume.
func (s *spot) readOnly() bool { return s.shows() || s.source.Image != nil }

// mountContent makes the tmpfs of a volume that shows API content.
func (s *spot) mountContent(parent *rootfd.Dir, spec *corev1.Pod) error {
	dir, err := s.tmpfs(parent, spec)
	if err != nil {
		return err
	}
	defer dir.Close()
	if group := projection.FSGroup(spec); group != nil {
		if err := share(dir, *group, 0o550); err != nil {
			return err
		}
	}
	if err := makeNested(dir, s.source.Name, spec); err != nil {
		return err
	}
	s.content, err = atomicdir.Open(filepath.Join(s.m.path, s.dir), atomicdir.Options{Clock: s.m.cfg.Clock})
	return err
}

// tmpfs opens the volume's tmpfs, mounting it if it is missing. One that an earlier process
// mounted gets the bounds that it shall have, unless it holds more: then it keeps its
// own, and Fit tries again.
func (s *spot) tmpfs(parent *rootfd.Dir, spec *corev1.Pod) (*rootfd.Dir, error) {
	name, want := s.source.Name, s.want(spec)
	mounted, err := parent.MountPoint(name)
	if err != nil {
		return nil, err
	}
	if !mounted {
		place, err := parent.MkdirAll(name, volumeMode)
		if err != nil {
			return nil, err
		}
		defer place.Close()
		if err := place.MountTmpfs(want); err != nil {
			return nil, err
		}
	}
	dir, err := parent.Sub(name)
	if err != nil {
		return nil, err
	}
	on, err := dir.OnTmpfs()
	if err == nil && !on {
		err = fmt.Errorf("%s is mounted, but not as tmpfs", dir.Name())
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	s.bounds, s.grown = want, false
	if !mounted {
		return dir, nil
	}
	if err := dir.ResizeTmpfs(want); err != nil {
		s.bounds = rootfd.Tmpfs{}
		s.m.cfg.Log.Warn("bounding a volume that was there", "volume", s.dir, "error", err)
	}
	return dir, nil
}

// Gone implements publish.Place: a container must never get the bare directory below a
// mount that somebody else has taken away.
func (s *spot) Gone() (how string, err error) {
	if s.source.HostPath != nil || s.source.Image != nil {
		return "", nil // each start of a container looks again
	}
	if s.inMemory() {
		there, err := s.m.root.MountPoint(s.dir)
		if err != nil || there {
			return "", err
		}
		return "unmounted", nil
	}
	dir, err := s.m.root.Sub(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "removed", nil
	}
	if err != nil {
		return "", err
	}
	return "", dir.Close()
}

// Empty implements publish.Place.
func (s *spot) Empty() bool {
	dir, err := s.m.root.Lookup(path.Join(s.dir, "..data"))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	dir.Close()
	return false
}

// Written implements publish.Place.
func (s *spot) Written(generation string) time.Time {
	dir, err := s.m.root.Sub(path.Join(s.dir, generation))
	if err != nil {
		return time.Time{}
	}
	defer dir.Close()
	st, err := dir.Stat()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Unix())
}

// Lost implements publish.Place.
func (s *spot) Lost() {
	if s.content != nil {
		s.content.Close() // its directory is gone
	}
	s.content, s.bounds, s.grown = nil, rootfd.Tmpfs{}, false
}

// Close implements publish.Place: it waits for what is done to the volume.
func (s *spot) Close() error {
	s.binds.Lock()
	s.ended = true
	s.binds.Unlock()
	s.busy.Wait()
	if s.content == nil {
		return nil
	}
	return s.content.Close()
}

// share gives a volume's own directory to a group, adds bits to its mode, and lets
// what is made in it belong to the group too (setgid).
func share(dir *rootfd.Dir, group int64, bits fs.FileMode) error {
	if err := dir.Chown(-1, int(group)); err != nil {
		return err
	}
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(st.Mode&0o777) | bits | os.ModeSetgid
	if st.Mode&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	return dir.Chmod(mode)
}
