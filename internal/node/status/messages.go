package status

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
)

// podMessages is how many bytes the termination messages of a pod's containers have
// together at most, the last and the one before each counted apart (upstream's
// MaxPodTerminationMessageLogLength).
const podMessages = 12 << 10

// messageShare is what each container of a pod may have of that: all the same.
func messageShare(pod *corev1.Pod) int {
	return podMessages / max(len(lifecycle.Containers(&pod.Spec)), 1)
}

func limitMessage(s *corev1.ContainerState, share int) {
	if t := s.Terminated; t != nil && len(t.Message) > share {
		ended := *t // which others may have too
		ended.Message = t.Message[:share]
		s.Terminated = &ended
	}
}
