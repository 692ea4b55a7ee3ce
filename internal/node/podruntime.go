package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// exitLooks is how often the end of a container is looked for after its event,
	// before that is left to the relist.
	exitLooks = 50
	// exitPause is the pause between two of these looks.
	exitPause = 10 * time.Millisecond
)

// podRuntime is what a pod has on the runtime.
type podRuntime struct {
	sandboxes  []cri.Sandbox // newest first
	containers []cri.Container
	// ended is when each dead container ended, on the agent's clock.
	ended map[string]time.Time
}

// sandbox is the newest sandbox, nil when there is none.
func (r *podRuntime) sandbox() *cri.Sandbox {
	if len(r.sandboxes) == 0 {
		return nil
	}
	return &r.sandboxes[0]
}

// refresh reads what the pod has on the runtime. A pause asks for another look,
// since the runtime has yet to notice the end of a container.
func (w *worker) refresh(ctx context.Context) (pause time.Duration, err error) {
	rt := w.a.runtime.Load()
	sandboxes, err := rt.client.ListSandboxes(ctx, rt.mine(w.uid))
	if err != nil {
		return 0, err
	}
	containers, err := rt.client.ListContainers(ctx, rt.mine(w.uid))
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
	w.rt.sandboxes = sandboxes
	w.setContainers(containers)
	return w.pendingExits(containers), nil
}

// sandboxIPs fills the addresses of the newest sandbox.
func (w *worker) sandboxIPs(ctx context.Context, sandboxes []cri.Sandbox) error {
	for i := range sandboxes {
		s := &sandboxes[i]
		w.a.runtime.Load().own(s.ID, w.uid)
		if i > 0 || s.State != cri.SandboxReady {
			continue
		}
		if known := w.rt.sandbox(); known != nil && known.ID == s.ID && len(known.IPs) > 0 {
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
	for _, c := range w.rt.containers {
		known[c.ID] = c
	}
	out := make([]cri.Container, 0, len(listed))
	for _, c := range listed {
		w.a.runtime.Load().own(c.ID, w.uid)
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
	if interrupted(c) {
		c.State = cri.ContainerCreated
	}
	if c.State == cri.ContainerExited {
		if message := w.terminationMessage(ctx, c); message != "" {
			c.Message = message
		}
	}
	return c, nil
}

// interrupted reports whether a container never ran since its starting was cut off:
// the agent was killed while it waited for the runtime. That is no failure of the
// container, so it counts as one that was made and never started.
func interrupted(c cri.Container) bool {
	return c.State == cri.ContainerExited && c.Reason == "StartError" && c.StartedAt.IsZero() &&
		strings.Contains(c.Message, context.Canceled.Error())
}

// setContainers replaces what is known of the containers.
func (w *worker) setContainers(containers []cri.Container) {
	ended := map[string]time.Time{}
	for _, c := range containers {
		if c.State != cri.ContainerExited && c.State != cri.ContainerUnknown {
			continue
		}
		at, ok := w.rt.ended[c.ID]
		if !ok {
			at = w.onClock(c.FinishedAt)
			if c.FinishedAt.IsZero() {
				at = w.now()
			}
		}
		ended[c.ID] = at
	}
	w.rt.containers, w.rt.ended = containers, ended
	w.mu.Lock()
	w.view = slices.Clone(containers)
	w.updates.unseen = false
	w.mu.Unlock()
}

// setContainer adds or replaces one container.
func (w *worker) setContainer(c cri.Container) {
	next := slices.DeleteFunc(slices.Clone(w.rt.containers), func(k cri.Container) bool { return k.ID == c.ID })
	w.setContainers(append(next, c))
}

// dropContainer forgets a container that was removed.
func (w *worker) dropContainer(id string) {
	w.setContainers(slices.DeleteFunc(slices.Clone(w.rt.containers), func(c cri.Container) bool { return c.ID == id }))
}

// pendingExits returns the pause before the next look for a container that an event
// said has ended and that the runtime still calls running.
func (w *worker) pendingExits(containers []cri.Container) (pause time.Duration) {
	running := map[string]bool{}
	for _, c := range containers {
		running[c.ID] = c.State == cri.ContainerRunning
	}
	for _, s := range w.rt.sandboxes {
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
