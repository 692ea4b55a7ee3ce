package lifecycle

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Final reports whether a pod of this phase has ended for good.
func Final(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

// Grace is how long the pod's containers have to end themselves.
func Grace(pod *corev1.Pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	switch {
	case pod.DeletionGracePeriodSeconds != nil:
		seconds = *pod.DeletionGracePeriodSeconds
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	return time.Duration(max(seconds, 1)) * time.Second
}

// GraceLeft is what is left, in real time, of the grace period that began with the
// deletion. A pod of which only its containers are known has what they were started
// with.
func GraceLeft(pod *corev1.Pod, r *Runtime, now time.Time) time.Duration {
	left := Grace(pod)
	if pod.Spec.TerminationGracePeriodSeconds == nil && pod.DeletionGracePeriodSeconds == nil {
		for _, c := range r.Containers {
			if s, err := strconv.Atoi(c.Annotations[AnnotationGracePeriod]); err == nil {
				left = time.Duration(s) * time.Second
			}
		}
	}
	if pod.DeletionTimestamp != nil {
		// The API drops fractions of a second: what is left may be up to one more, and
		// nobody's grace is cut by that.
		left = min(left, pod.DeletionTimestamp.Sub(now)+time.Second)
	}
	return max(left, time.Second).Round(time.Second)
}

// ActiveLeft returns how long a pod that was started at started may still be active,
// zero when there is no limit, and whether its time is over.
func ActiveLeft(pod *corev1.Pod, started, now time.Time) (left time.Duration, late bool) {
	seconds := pod.Spec.ActiveDeadlineSeconds
	if seconds == nil {
		return 0, false
	}
	left = started.Add(time.Duration(*seconds) * time.Second).Sub(now)
	return max(left, 0), left <= 0
}
