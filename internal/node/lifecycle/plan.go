package lifecycle

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// Plan is what must be done for a pod to be as its spec says.
type Plan struct {
	// Sandbox is the one to use, nil when a new one must be made first.
	Sandbox *cri.Sandbox
	// Replaced says that the pod had a sandbox that cannot be used any more.
	Replaced bool
	// Stop are running containers that must not go on: their spec has changed, they are
	// outside the sandbox, or they are to be replaced.
	Stop []cri.Container
	// Start are the containers to start once those are stopped, in the spec's order.
	Start []Start
	// Over says that nothing runs and nothing is to be started again.
	Over bool
}

// Start is a container to be started.
type Start struct {
	Container
	// Asked says that only a wish to replace it has it started.
	Asked bool
}

// Replace has, by the name of a container, the ID of the one that is to be replaced by
// a new one, whether it would be started again or not.
type Replace map[string]string

// Wants reports whether a container is to be replaced.
func (r Replace) Wants(c *cri.Container) bool {
	id, ok := r[c.Name]
	return ok && id == c.ID
}

// Decide compares a pod's spec with what it has on the runtime.
func Decide(pod *corev1.Pod, r *Runtime, replace Replace) Plan {
	var p Plan
	if s := r.Sandbox(); s != nil {
		if usable(pod, s) {
			p.Sandbox = s
		} else {
			p.Replaced = true
		}
	}
	running := false
	for _, c := range Run(&pod.Spec) {
		newest := r.Newest(c.Spec.Name)
		if newest == nil {
			p.Start = append(p.Start, Start{Container: c})
			continue
		}
		asked := replace.Wants(newest)
		switch {
		case newest.State == cri.ContainerRunning:
			stays := inPlace(p.Sandbox, c.Spec, newest)
			if stays && !asked {
				running = true
				continue
			}
			p.Stop = append(p.Stop, *newest)
			p.Start = append(p.Start, Start{Container: c, Asked: stays})
		case Restarts(pod.Spec.RestartPolicy, newest):
			p.Start = append(p.Start, Start{Container: c})
		case asked:
			p.Start = append(p.Start, Start{Container: c, Asked: true})
		}
	}
	p.Over = len(p.Start) == 0 && !running
	return p
}

// usable reports whether containers can be started in a sandbox.
func usable(pod *corev1.Pod, s *cri.Sandbox) bool {
	return s.State == cri.SandboxReady && (pod.Spec.HostNetwork || len(s.IPs) > 0)
}

// inPlace reports whether a running container is the one that the spec asks for.
func inPlace(sandbox *cri.Sandbox, c *corev1.Container, running *cri.Container) bool {
	hash := running.Annotations[AnnotationHash]
	return sandbox != nil && running.SandboxID == sandbox.ID && (hash == "" || hash == Hash(c))
}

// Restarts reports whether a container that does not run is started (again). One
// that was made and never started is.
func Restarts(policy corev1.RestartPolicy, c *cri.Container) bool {
	if c.State == cri.ContainerCreated || c.State == cri.ContainerUnknown {
		return true
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return c.ExitCode != 0
	}
	return true
}

// Next returns the number of the container to be made in place of newest: one more
// than the last, of which also the API may know only. A container that was made and
// never started is to be removed, and its number used again. newest is nil when the
// runtime has none, reported when the API has no status of the container.
func Next(newest *cri.Container, reported *corev1.ContainerStatus) (attempt uint32, remove bool) {
	switch {
	case newest == nil && reported != nil && reported.ContainerID != "":
		return uint32(reported.RestartCount) + 1, false
	case newest == nil:
		return 0, false
	case newest.State == cri.ContainerCreated:
		return newest.Attempt, true
	}
	return newest.Attempt + 1, false
}
