package podworker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"laterna.dev/laterna/internal/node/containerfiles"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// observer looks at what the pod has on the runtime and shows it.
type observer struct {
	*core
	files *containerfiles.Files
}

// refresh reads what the pod has on the runtime. A pause asks for another look,
// since the runtime has yet to notice the end of a container.
func (o *observer) refresh(ctx context.Context) (pause time.Duration, err error) {
	mine := o.deps.Inventory.Of(o.uid)
	sandboxes, err := o.deps.Runtime.ListSandboxes(ctx, mine)
	if err != nil {
		return 0, err
	}
	containers, err := o.deps.Runtime.ListContainers(ctx, mine)
	if err != nil {
		return 0, err
	}
	slices.SortFunc(sandboxes, func(a, b cri.Sandbox) int {
		return cmp.Or(-cmp.Compare(a.Attempt, b.Attempt), -a.CreatedAt.Compare(b.CreatedAt))
	})
	if err := o.sandboxIPs(ctx, sandboxes); err != nil {
		return 0, err
	}
	if containers, err = o.details(ctx, containers); err != nil {
		return 0, err
	}
	next := o.withContainers(*o.rt(), containers)
	next.Sandboxes = sandboxes
	return o.board.looked(next), nil
}

// sandboxIPs fills the addresses of the newest sandbox.
func (o *observer) sandboxIPs(ctx context.Context, sandboxes []cri.Sandbox) error {
	for i := range sandboxes {
		s := &sandboxes[i]
		o.deps.Inventory.Own(s.ID, o.uid)
		if i > 0 || s.State != cri.SandboxReady {
			continue
		}
		if known := o.rt().Sandbox(); known != nil && known.ID == s.ID && len(known.IPs) > 0 {
			s.IPs = known.IPs
			continue
		}
		full, err := o.deps.Runtime.SandboxStatus(ctx, s.ID)
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
func (o *observer) details(ctx context.Context, listed []cri.Container) ([]cri.Container, error) {
	known := map[string]cri.Container{}
	for _, c := range o.rt().Containers {
		known[c.ID] = c
	}
	out := make([]cri.Container, 0, len(listed))
	for _, c := range listed {
		o.deps.Inventory.Own(c.ID, o.uid)
		if k, ok := known[c.ID]; ok && k.State == c.State {
			out = append(out, k)
			continue
		}
		full, err := o.containerStatus(ctx, c.ID, c.SandboxID)
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
func (o *observer) containerStatus(ctx context.Context, id, sandboxID string) (cri.Container, error) {
	c, err := o.deps.Runtime.ContainerStatus(ctx, id)
	if err != nil {
		return cri.Container{}, err
	}
	c.SandboxID = sandboxID
	if lifecycle.Interrupted(c) {
		c.State = cri.ContainerCreated
	}
	if c.State == cri.ContainerExited {
		switch message := o.files.TerminationMessage(ctx, o.board.snapshot().Pod, c); {
		case message == "":
		case c.Message == "":
			c.Message = message
		default:
			c.Message += ": " + message
		}
	}
	return c, nil
}

// withContainers is r with other containers.
func (o *observer) withContainers(r lifecycle.Runtime, containers []cri.Container) lifecycle.Runtime {
	return r.WithContainers(containers, func(c cri.Container) time.Time {
		if c.FinishedAt.IsZero() {
			return o.now()
		}
		return o.onClock(c.FinishedAt)
	})
}

// setContainers replaces what is known of the containers.
func (o *observer) setContainers(containers []cri.Container) {
	next := o.withContainers(*o.rt(), containers)
	o.board.show(func(s *Snapshot) {
		next.Probed = s.Runtime.Probed // which others may have changed meanwhile
		s.Runtime, s.unseen = next, false
	})
}

// setContainer adds or replaces one container.
func (o *observer) setContainer(c cri.Container) {
	next := slices.DeleteFunc(slices.Clone(o.rt().Containers), func(k cri.Container) bool { return k.ID == c.ID })
	o.setContainers(append(next, c))
}

// dropContainer forgets a container that was removed.
func (o *observer) dropContainer(id string) {
	o.setContainers(slices.DeleteFunc(slices.Clone(o.rt().Containers), func(c cri.Container) bool { return c.ID == id }))
}
