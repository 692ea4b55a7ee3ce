package workload

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Terminal tells whether a pod has ended for good.
func Terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Active tells whether a pod counts as one of its parent's: it has not ended and is not
// to be deleted.
func Active(pod *corev1.Pod) bool { return !Terminal(pod) && pod.DeletionTimestamp == nil }

// Terminating tells whether a pod is being deleted and has yet to end.
func Terminating(pod *corev1.Pod) bool { return !Terminal(pod) && pod.DeletionTimestamp != nil }

// Ready tells whether a pod is ready, and since when.
func Ready(pod *corev1.Pod) (since time.Time, ok bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// Available tells whether a pod has been ready for spec.minReadySeconds of its parent, in
// seconds. left is how long it must stay ready to be; 0 for one that is not ready.
func Available(pod *corev1.Pod, minReadySeconds int32, now time.Time) (left time.Duration, ok bool) {
	since, ready := Ready(pod)
	if !ready {
		return 0, false
	}
	least := time.Duration(minReadySeconds) * time.Second
	if least == 0 {
		return 0, true
	}
	if since.IsZero() {
		return least, false
	}
	left = least - now.Sub(since)
	return max(left, 0), left <= 0
}
