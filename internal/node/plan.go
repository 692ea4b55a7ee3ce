package node

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// plan is what must be done for a pod to be as its spec says.
type plan struct {
	// sandbox is the one to use, nil when a new one must be made first.
	sandbox *cri.Sandbox
	// replaced says that the pod had a sandbox that cannot be used any more.
	replaced bool
	// stop are running containers that must not go on: their spec has changed, or
	// they are outside the sandbox.
	stop []cri.Container
	// start are the containers to start, in the spec's order.
	start []*corev1.Container
	// over says that nothing runs and nothing is to be started again.
	over bool
}

// decide compares a pod's spec with what it has on the runtime.
func decide(pod *corev1.Pod, rt *podRuntime) plan {
	var p plan
	if s := rt.sandbox(); s != nil {
		if usable(pod, s) {
			p.sandbox = s
		} else {
			p.replaced = true
		}
	}
	running := false
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		attempts := status.Attempts(rt.containers, c.Name)
		switch {
		case len(attempts) == 0:
			p.start = append(p.start, c)
		case attempts[0].State == cri.ContainerRunning:
			if inPlace(p.sandbox, c, attempts[0]) {
				running = true
				continue
			}
			p.stop = append(p.stop, attempts[0])
			p.start = append(p.start, c)
		case restarts(pod.Spec.RestartPolicy, attempts[0]):
			p.start = append(p.start, c)
		}
	}
	p.over = len(p.start) == 0 && !running
	return p
}

// usable reports whether containers can be started in a sandbox.
func usable(pod *corev1.Pod, s *cri.Sandbox) bool {
	return s.State == cri.SandboxReady && (pod.Spec.HostNetwork || len(s.IPs) > 0)
}

// inPlace reports whether a running container is the one that the spec asks for.
func inPlace(sandbox *cri.Sandbox, c *corev1.Container, running cri.Container) bool {
	hash := running.Annotations[runspec.AnnotationHash]
	return sandbox != nil && running.SandboxID == sandbox.ID && (hash == "" || hash == runspec.Hash(c))
}

// restarts reports whether a container that does not run is started (again). One
// that was made and never started is.
func restarts(policy corev1.RestartPolicy, c cri.Container) bool {
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
