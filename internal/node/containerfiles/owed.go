package containerfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"
)

// Owe notes that a container of a pod that is about to start owes its postStart hook: an
// agent that takes the container over runs it.
func (f *Files) Owe(pod types.UID, container string, attempt uint32) error {
	_, root, err := f.openPodDir(pod)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := makeDir(root, container); err != nil {
		return err
	}
	file, err := root.OpenFile(owedFile(container, attempt), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("noting a postStart hook: %w", err)
	}
	return file.Close()
}

// Owes reports whether a container owes its postStart hook. What cannot be looked at is
// owed: a hook runs at least once.
func (f *Files) Owes(pod types.UID, container string, attempt uint32) bool {
	root, err := os.OpenRoot(f.Volumes.PodDir(pod))
	if err == nil {
		defer root.Close()
		_, err = root.Lstat(owedFile(container, attempt))
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// Paid notes that a container's postStart hook is done.
func (f *Files) Paid(pod types.UID, container string, attempt uint32) error {
	root, err := os.OpenRoot(f.Volumes.PodDir(pod))
	if err == nil {
		defer root.Close()
		err = root.Remove(owedFile(container, attempt))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// owedFile says by being there that a container owes its postStart hook.
func owedFile(container string, attempt uint32) string {
	return filepath.Join(ownDir(container), fmt.Sprintf("postStart.%d", attempt))
}
