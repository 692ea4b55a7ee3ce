package serviceaccounttoken

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
)

// names tells whether a pod makes any use of a Secret.
func names(pod *corev1.Pod, secret string) bool {
	for r := range podfields.References(&pod.Spec) {
		if r.Kind == podfields.Secrets && r.Name == secret {
			return true
		}
	}
	return false
}
