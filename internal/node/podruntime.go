package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// exitLooks is how often the end of a container is looked for after its event,
	// before that is left to the relist.
	exitLooks = 50
	// exitPause is the pause between two of these looks.
	exitPause = 10 * time.Millisecond
)

// refresh reads what the pod has on the runtime. A pause asks for another look,
// since the runtime has yet to notice the end of a container.
func (w *worker) refresh(ctx context.Context) (pause time.Duration, err error) {
	rt := w.a.runtime.Load()
	sandboxes, err := rt.client.ListSandboxes(ctx, rt.inventory.Of(w.uid))
	if err != nil {
		return 0, err
	}
	containers, err := rt.client.ListContainers(ctx, rt.inventory.Of(w.uid))
	if err != nil {
		return 0, err
	}
	slices.SortFunc(sandboxes, func(a, b cri.Sandbox) int {
		return cmp.Or(-cmp.Compare(a.Attempt, b.Attempt), -a.CreatedAt.Compare(b.CreatedAt))
	})
	if err := w.sandboxIPs(ctx, sandboxes); err != nil {
		return 0, err
	}
	if containers, err = w.details(ctx, containers); err != nil {
		return 0, err
	}
	w.rt.Sandboxes = sandboxes
	w.setContainers(containers)
	return w.pendingExits(containers), nil
}

// sandboxIPs fills the addresses of the newest sandbox.
func (w *worker) sandboxIPs(ctx context.Context, sandboxes []cri.Sandbox) error {
	for i := range sandboxes {
		s := &sandboxes[i]
		w.a.runtime.Load().inventory.Own(s.ID, w.uid)
		if i > 0 || s.State != cri.SandboxReady {
			continue
		}
		if known := w.rt.Sandbox(); known != nil && known.ID == s.ID && len(known.IPs) > 0 {
			s.IPs = known.IPs
			continue
		}
		full, err := w.a.cri().SandboxStatus(ctx, s.ID)
		if errors.Is(err, cri.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.IPs = full.IPs
	}
	return nil
}

// details fills in what a list does not tell, asking only for what has changed.
func (w *worker) details(ctx context.Context, listed []cri.Container) ([]cri.Container, error) {
	known := map[string]cri.Container{}
	for _, c := range w.rt.Containers {
		known[c.ID] = c
	}
	out := make([]cri.Container, 0, len(listed))
	for _, c := range listed {
		w.a.runtime.Load().inventory.Own(c.ID, w.uid)
		if k, ok := known[c.ID]; ok && k.State == c.State {
			out = append(out, k)
			continue
		}
		full, err := w.containerStatus(ctx, c.ID, c.SandboxID)
		if errors.Is(err, cri.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, full)
	}
	return out, nil
}

// containerStatus is a container's full status; a dead one has its termination message.
func (w *worker) containerStatus(ctx context.Context, id, sandboxID string) (cri.Container, error) {
	c, err := w.a.cri().ContainerStatus(ctx, id)
	if err != nil {
		return cri.Container{}, err
	}
	c.SandboxID = sandboxID
	if lifecycle.Interrupted(c) {
		c.State = cri.ContainerCreated
	}
	if c.State == cri.ContainerExited {
		if message := w.terminationMessage(ctx, c); message != "" {
			c.Message = message
		}
	}
	return c, nil
}

// setContainers replaces what is known of the containers.
func (w *worker) setContainers(containers []cri.Container) {
	w.rt = w.rt.WithContainers(containers, func(c cri.Container) time.Time {
		if c.FinishedAt.IsZero() {
			return w.now()
		}
		return w.onClock(c.FinishedAt)
	})
	w.mu.Lock()
	w.view = slices.Clone(containers)
	w.updates.unseen = false
	w.mu.Unlock()
}

// setContainer adds or replaces one container.
func (w *worker) setContainer(c cri.Container) {
	next := slices.DeleteFunc(slices.Clone(w.rt.Containers), func(k cri.Container) bool { return k.ID == c.ID })
	w.setContainers(append(next, c))
}

// dropContainer forgets a container that was removed.
func (w *worker) dropContainer(id string) {
	w.setContainers(slices.DeleteFunc(slices.Clone(w.rt.Containers), func(c cri.Container) bool { return c.ID == id }))
}

// pendingExits returns the pause before the next look for a container that an event
// said has ended and that the runtime still calls running.
func (w *worker) pendingExits(containers []cri.Container) (pause time.Duration) {
	running := map[string]bool{}
	for _, c := range containers {
		running[c.ID] = c.State == cri.ContainerRunning
	}
	for _, s := range w.rt.Sandboxes {
		running[s.ID] = s.State == cri.SandboxReady
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, looks := range w.exited {
		if !running[id] || looks == 0 {
			delete(w.exited, id)
			continue
		}
		w.exited[id] = looks - 1
		w.dirty = true
		pause = exitPause
	}
	return pause
}
