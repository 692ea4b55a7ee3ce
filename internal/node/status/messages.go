package status

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
)

// podMessages is how many bytes the termination messages of a pod's containers have
// together at most, the last and the one before each counted apart (upstream's
// MaxPodTerminationMessageLogLength).
const podMessages = 12 << 10

// limitMessages cuts termination messages so that each container of the pod has the same
// share.
func limitMessages(pod *corev1.Pod, statuses []corev1.ContainerStatus) {
	share := podMessages / max(len(lifecycle.Containers(&pod.Spec)), 1)
	for i := range statuses {
		limitMessage(&statuses[i].State, share)
		limitMessage(&statuses[i].LastTerminationState, share)
	}
}

func limitMessage(s *corev1.ContainerState, share int) {
	if t := s.Terminated; t != nil && len(t.Message) > share {
		ended := *t // which others may have too
		ended.Message = t.Message[:share]
		s.Terminated = &ended
	}
}
