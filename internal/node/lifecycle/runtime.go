package lifecycle

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Runtime is what a pod has on the runtime. Its parts are shared: they are replaced,
// never changed.
type Runtime struct {
	Sandboxes  []cri.Sandbox // newest first
	Containers []cri.Container
	// Ended is when each dead container ended, by its ID, on the agent's clock.
	Ended map[string]time.Time
	// Probed is what is known of containers that somebody looks into, by their ID. One
	// that is absent has no probe and no hook: it is started and ready when it runs. Who
	// probes has it here before the container counts as running.
	Probed map[string]Probed
}

// Probed is what probes and hooks found of a running container.
type Probed struct {
	// Started says that its postStart hook is done and its startup probe has passed.
	Started bool
	// Ready says that its readiness probe, where it has one, passes.
	Ready bool
	// Hook says that its postStart hook is not done. The API sees it as being created.
	Hook bool
	// Failed says that it was stopped because its liveness or startup probe has failed: it
	// is started again unless the policy is Never, however it has ended.
	Failed bool
}

// Started reports whether a container runs and its start is done.
func (r *Runtime) Started(c *cri.Container) bool {
	if c == nil || c.State != cri.ContainerRunning {
		return false
	}
	p, probed := r.Probed[c.ID]
	return !probed || p.Started
}

// Ready reports whether a container is started and may be sent traffic.
func (r *Runtime) Ready(c *cri.Container) bool {
	if !r.Started(c) {
		return false
	}
	p, probed := r.Probed[c.ID]
	return !probed || p.Ready
}

// Fails reports whether a container is or was stopped because a probe has failed.
func (r *Runtime) Fails(c *cri.Container) bool { return r.Probed[c.ID].Failed }

// Sandbox is the newest sandbox, nil when there is none.
func (r *Runtime) Sandbox() *cri.Sandbox {
	if len(r.Sandboxes) == 0 {
		return nil
	}
	return &r.Sandboxes[0]
}

// Newest is the newest container of a name, nil when there is none.
func (r *Runtime) Newest(name string) *cri.Container {
	if attempts := Attempts(r.Containers, name); len(attempts) > 0 {
		return &attempts[0]
	}
	return nil
}

// Attempts returns the containers of one name, newest first.
func Attempts(all []cri.Container, name string) []cri.Container {
	var out []cri.Container
	for _, c := range all {
		if c.Name == name {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b cri.Container) int {
		return cmp.Or(-cmp.Compare(a.Attempt, b.Attempt), -a.CreatedAt.Compare(b.CreatedAt))
	})
	return out
}

// WithContainers is r with these containers. ended tells of one that is seen dead for
// the first time when it ended, on the agent's clock.
func (r Runtime) WithContainers(containers []cri.Container, ended func(cri.Container) time.Time) Runtime {
	known := r.Ended
	r.Containers, r.Ended = containers, map[string]time.Time{}
	for _, c := range containers {
		if c.State != cri.ContainerExited && c.State != cri.ContainerUnknown {
			continue
		}
		at, ok := known[c.ID]
		if !ok {
			at = ended(c)
		}
		r.Ended[c.ID] = at
	}
	return r
}

// Interrupted reports whether a container never ran since its starting was cut off:
// the agent was killed while it waited for the runtime. That is no failure of the
// container, so it counts as one that was made and never started.
func Interrupted(c cri.Container) bool {
	return c.State == cri.ContainerExited && c.Reason == "StartError" && c.StartedAt.IsZero() &&
		strings.Contains(c.Message, context.Canceled.Error())
}

// Surplus returns what nobody needs any more: dead containers but the newest one
// before the current, and the sandboxes that are left empty without them.
func Surplus(r *Runtime) (containers []cri.Container, sandboxes []cri.Sandbox) {
	newest, needed := map[string]uint32{}, map[string]bool{}
	for _, c := range r.Containers {
		newest[c.Name] = max(newest[c.Name], c.Attempt)
	}
	for _, c := range r.Containers {
		if c.State == cri.ContainerRunning || c.Attempt+1 >= newest[c.Name] {
			needed[c.SandboxID] = true
			continue
		}
		containers = append(containers, c)
	}
	for i, s := range r.Sandboxes {
		if i > 0 && !needed[s.ID] {
			sandboxes = append(sandboxes, s)
		}
	}
	return containers, sandboxes
}
