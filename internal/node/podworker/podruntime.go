package podworker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// refresh reads what the pod has on the runtime. A pause asks for another look,
// since the runtime has yet to notice the end of a container.
func (w *Worker) refresh(ctx context.Context) (pause time.Duration, err error) {
	mine := w.deps.Inventory.Of(w.uid)
	sandboxes, err := w.deps.Runtime.ListSandboxes(ctx, mine)
	if err != nil {
		return 0, err
	}
	containers, err := w.deps.Runtime.ListContainers(ctx, mine)
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
	next := w.withContainers(*w.rt(), containers)
	next.Sandboxes = sandboxes
	return w.board.looked(next), nil
}

// sandboxIPs fills the addresses of the newest sandbox.
func (w *Worker) sandboxIPs(ctx context.Context, sandboxes []cri.Sandbox) error {
	for i := range sandboxes {
		s := &sandboxes[i]
		w.deps.Inventory.Own(s.ID, w.uid)
		if i > 0 || s.State != cri.SandboxReady {
			continue
		}
		if known := w.rt().Sandbox(); known != nil && known.ID == s.ID && len(known.IPs) > 0 {
			s.IPs = known.IPs
			continue
		}
		full, err := w.deps.Runtime.SandboxStatus(ctx, s.ID)
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
func (w *Worker) details(ctx context.Context, listed []cri.Container) ([]cri.Container, error) {
	known := map[string]cri.Container{}
	for _, c := range w.rt().Containers {
		known[c.ID] = c
	}
	out := make([]cri.Container, 0, len(listed))
	for _, c := range listed {
		w.deps.Inventory.Own(c.ID, w.uid)
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
func (w *Worker) containerStatus(ctx context.Context, id, sandboxID string) (cri.Container, error) {
	c, err := w.deps.Runtime.ContainerStatus(ctx, id)
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

// withContainers is r with other containers.
func (w *Worker) withContainers(r lifecycle.Runtime, containers []cri.Container) lifecycle.Runtime {
	return r.WithContainers(containers, func(c cri.Container) time.Time {
		if c.FinishedAt.IsZero() {
			return w.now()
		}
		return w.onClock(c.FinishedAt)
	})
}

// setContainers replaces what is known of the containers.
func (w *Worker) setContainers(containers []cri.Container) {
	next := w.withContainers(*w.rt(), containers)
	w.board.show(func(s *Snapshot) { s.Runtime, s.unseen = next, false })
}

// setContainer adds or replaces one container.
func (w *Worker) setContainer(c cri.Container) {
	next := slices.DeleteFunc(slices.Clone(w.rt().Containers), func(k cri.Container) bool { return k.ID == c.ID })
	w.setContainers(append(next, c))
}

// dropContainer forgets a container that was removed.
func (w *Worker) dropContainer(id string) {
	w.setContainers(slices.DeleteFunc(slices.Clone(w.rt().Containers), func(c cri.Container) bool { return c.ID == id }))
}
