package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/projection"
	"laterna.dev/laterna/projection/atomicdir"
)

const (
	dirMode    fs.FileMode = 0o700 // of the directories that lead to a volume
	volumeMode fs.FileMode = 0o777 // of a volume's directory
	nestedMode fs.FileMode = 0o755 // of mount points inside a volume
)

// mount makes the place of a volume, or finds it as an earlier process left it. The
// caller holds v.mu.
func (m *Manager) mount(v *volume) error {
	if v.mounted {
		return nil
	}
	spec := v.pod.spec.Load()
	if err := errors.Join(supported(v), checkSegment(v.source.Name)); err != nil {
		return err
	}
	parent, err := m.root.MkdirAll(filepath.Dir(v.dir), dirMode)
	if err != nil {
		return diskError{err}
	}
	defer parent.Close()
	if v.source.EmptyDir != nil {
		err = m.mountEmptyDir(parent, v, spec)
	} else {
		err = m.mountContent(parent, v, spec)
	}
	if err != nil {
		return diskError{err}
	}
	v.mounted = true
	return nil
}

// supported refuses what the agent cannot make, by the path of the field.
func supported(v *volume) error {
	at := fmt.Sprintf("spec.volumes[%d]", v.index)
	if e := v.source.EmptyDir; e != nil {
		if e.Medium != corev1.StorageMediumDefault && e.Medium != corev1.StorageMediumMemory {
			return fmt.Errorf("%s.emptyDir.medium: %q is not supported, use %q or leave it out", at, e.Medium, corev1.StorageMediumMemory)
		}
		return nil
	}
	if !projection.Projected(v.source) {
		return fmt.Errorf("%s.%s: volumes of this kind are not supported; supported are configMap, downwardAPI, emptyDir, projected and secret", at, projection.Kind(v.source))
	}
	if v.source.Projected == nil {
		return nil
	}
	for i := range v.source.Projected.Sources {
		if kind := projection.UnsupportedSource(&v.source.Projected.Sources[i]); kind != "" {
			return fmt.Errorf("%s.projected.sources[%d].%s: sources of this kind are not supported; supported are configMap, downwardAPI, secret and serviceAccountToken", at, i, kind)
		}
	}
	return nil
}

// mountContent makes the tmpfs of a volume that shows API content.
func (m *Manager) mountContent(parent *rootfd.Dir, v *volume, spec *corev1.Pod) error {
	dir, err := m.tmpfs(parent, v, spec)
	if err != nil {
		return err
	}
	defer dir.Close()
	if group := projection.FSGroup(spec); group != nil {
		if err := share(dir, *group, 0o550); err != nil {
			return err
		}
	}
	if err := makeNested(dir, v.source.Name, spec); err != nil {
		return err
	}
	v.content, err = atomicdir.Open(filepath.Join(m.path, v.dir), atomicdir.Options{Clock: m.cfg.Clock})
	if err == nil {
		v.setShown(m.found(v))
	}
	return err
}

// tmpfs opens the tmpfs of v, mounting it if it is missing. One that an earlier process
// mounted gets the bounds that it shall have, unless it holds more: then it keeps its
// own, and fit tries again.
func (m *Manager) tmpfs(parent *rootfd.Dir, v *volume, spec *corev1.Pod) (*rootfd.Dir, error) {
	name, want := v.source.Name, m.bounds(v, spec)
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
	v.bounds, v.grown = want, false
	if !mounted {
		return dir, nil
	}
	if err := dir.ResizeTmpfs(want); err != nil {
		v.bounds = rootfd.Tmpfs{}
		m.cfg.Log.Warn("bounding a volume that was there", "volume", v.dir, "error", err)
	}
	return dir, nil
}

// stillThere refuses a volume that somebody else unmounted or removed, and has it made
// anew: a container must never get the bare directory below. Files that somebody
// removed are put back soon.
func (m *Manager) stillThere(v *volume) error {
	v.mu.Lock() // a worker that is at it ends first
	defer v.mu.Unlock()
	there, what, err := m.there(v)
	if err != nil {
		return err
	}
	if there && v.mounted {
		if v.content != nil {
			m.queue.Add(v)
		}
		return nil
	}
	v.lost()
	m.queue.Add(v)
	return fmt.Errorf("volume %q was %s by somebody else and is made anew, try again", v.source.Name, what)
}

// there tells whether a volume's place is there, and what happened to it otherwise.
func (m *Manager) there(v *volume) (there bool, gone string, err error) {
	if v.source.EmptyDir != nil && v.source.EmptyDir.Medium == corev1.StorageMediumDefault {
		dir, err := m.root.Sub(v.dir)
		if errors.Is(err, fs.ErrNotExist) {
			return false, "removed", nil
		}
		if err != nil {
			return false, "", err
		}
		return true, "", dir.Close()
	}
	there, err = m.root.MountPoint(v.dir)
	return there, "unmounted", err
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
