package place

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// ReadFile returns a file of at most limit bytes that the containers of a pod keep in
// one of its emptyDir volumes. No link and no mount in the volume leads out of it.
// The error is fs.ErrNotExist when there is no such file; it names no path of the
// node, so that it can be shown to users.
func (m *Manager) ReadFile(uid types.UID, name, file string, limit int64) ([]byte, error) {
	done, err := m.use()
	if err != nil {
		return nil, err
	}
	defer done()
	s, ready := m.spot(uid, name)
	switch {
	case s == nil:
		return nil, fmt.Errorf("cannot find the volume %q referenced by FileKeyRef", name)
	case s.source.EmptyDir == nil:
		return nil, fmt.Errorf("volume %q is not an emptyDir", name)
	case !ready:
		return nil, fmt.Errorf("volume %q is not ready", name)
	}
	root, err := m.root.Sub(s.dir)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer root.Close()
	data, err := root.ReadFile(file, limit)
	return data, withoutPath(err)
}

// withoutPath is what went wrong, and not where.
func withoutPath(err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP):
		return errors.New("the path leads out of the volume")
	case errors.As(err, &at):
		return at.Err
	}
	return err
}
