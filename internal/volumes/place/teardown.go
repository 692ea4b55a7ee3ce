package place

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/volumes/publish"
)

// Teardown ends the volumes of a pod and removes its directory: its mounts, its
// files, and the tokens kept for it. It is idempotent, and also removes what an
// earlier process left of a pod that this one does not know. No container of the pod
// may run.
func (m *Manager) Teardown(ctx context.Context, uid types.UID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := publish.CheckSegment(string(uid)); err != nil {
		return fmt.Errorf("tearing down pod %q: %w", uid, err)
	}
	done, err := m.use()
	if err != nil {
		return fmt.Errorf("tearing down pod %s: %w", uid, err)
	}
	defer done()
	m.Forget(uid)
	// Twice, because a mount that was being made may have come after the first look.
	for range 2 {
		if err = errors.Join(mounts.Remove(m.PodDir(uid)), m.root.RemoveAll(string(uid))); err == nil {
			return nil
		}
	}
	return fmt.Errorf("tearing down pod %s: %w", uid, err)
}
