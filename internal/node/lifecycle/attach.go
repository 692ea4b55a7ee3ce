package lifecycle

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// attachable is how long a container that somebody is about to attach to must have run
// to be told of as running.
const attachable = 200 * time.Millisecond

// Untold is for how long it is not yet told of a pod that it runs. `kubectl run -i` (its
// containers have stdinOnce) prints the log of a container that it sees running, and
// attaches to it; where that has ended meanwhile, it prints the log again. One that ends
// at once is therefore told of only when it has ended, as a kubelet would, which looks
// once a second. `kubectl debug -i` attaches to what it sees running without the log, and
// prints the log only of what it sees ended: without the pause it would print nothing.
func Untold(pod *corev1.Pod, all []cri.Container, now time.Time) time.Duration {
	once := slices.ContainsFunc(Only(&pod.Spec, Main), func(c Container) bool { return c.Spec.Stdin && c.Spec.StdinOnce })
	once = once && pod.Status.Phase == corev1.PodPending
	var left time.Duration
	for _, c := range all {
		if c.State == cri.ContainerRunning && (once || untoldDebugger(pod, c.Name)) {
			left = max(left, min(attachable-now.Sub(c.StartedAt), attachable))
		}
	}
	return left
}

// untoldDebugger tells whether a container is an ephemeral one with an input of which it
// is not told yet that it runs.
func untoldDebugger(pod *corev1.Pod, name string) bool {
	asked := slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == name && c.Stdin })
	told := slices.ContainsFunc(pod.Status.EphemeralContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == name && s.State.Running != nil
	})
	return asked && !told
}
