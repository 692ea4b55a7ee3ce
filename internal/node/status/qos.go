package status

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
)

// QOSClass is the pod's quality-of-service class: Guaranteed when every container
// has CPU and memory limits equal to its requests, BestEffort when none has any
// request or limit of CPU or memory, else Burstable. What the API says wins.
func QOSClass(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	any, guaranteed := false, true
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			any = any || !request.IsZero() || !limit.IsZero()
			guaranteed = guaranteed && !limit.IsZero() && (request.IsZero() || request.Cmp(limit) == 0)
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
