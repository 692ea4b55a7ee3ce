package place

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/rootfd"
)

// Teardown ends the volumes of a pod and removes its directory: its mounts, its
// files, and the tokens kept for it. It is idempotent, and also removes what an
// earlier process left of a pod that this one does not know. No container of the pod
// may run.
func (m *Manager) Teardown(ctx context.Context, uid types.UID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkSegment(string(uid)); err != nil {
		return fmt.Errorf("tearing down pod %q: %w", uid, err)
	}
	done, err := m.use()
	if err != nil {
		return fmt.Errorf("tearing down pod %s: %w", uid, err)
	}
	defer done()
	m.mu.Lock()
	p := m.pods[uid]
	delete(m.pods, uid)
	m.mu.Unlock()
	if p != nil {
		m.forget(p)
		m.cfg.Tokens.DropPod(uid)
	}
	// Twice, because a mount that was being made may have come after the first look.
	for range 2 {
		if err = errors.Join(mounts.Remove(m.PodDir(uid)), m.root.RemoveAll(string(uid))); err == nil {
			return nil
		}
	}
	return fmt.Errorf("tearing down pod %s: %w", uid, err)
}

// forget stops all work on a pod. Files and mounts stay.
func (m *Manager) forget(p *pod) {
	p.end()
	for _, v := range p.inOrder() {
		v.close(m)
		m.independ(v)
	}
	p.busy.Wait()
}

// independ undoes depend.
func (m *Manager) independ(v *volume) {
	for _, object := range v.kept {
		object.Release()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for request := range v.tokens {
		delete(m.users[request], v)
		if len(m.users[request]) == 0 {
			delete(m.users, request)
		}
	}
}

// lost has the next worker make the volume again. The caller holds v.mu.
func (v *volume) lost() {
	if v.content != nil && !v.closed {
		v.content.Close() // its directory is gone
		v.content = nil
	}
	v.mounted, v.trial, v.rejected = false, nil, rejection{}
	v.bounds, v.grown = rootfd.Tmpfs{}, false
	v.setShown(shown{})
}

// close waits for the worker that is at it and lets no other begin.
func (v *volume) close(m *Manager) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	v.state.Lock()
	if v.timer != nil {
		v.timer.Stop()
	}
	v.state.Unlock()
	if v.content == nil {
		return
	}
	if err := v.content.Close(); err != nil {
		m.cfg.Log.Warn("closing a volume", "volume", v.dir, "error", err)
	}
}
