package resize

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"

	"laterna.dev/laterna/internal/node/status"
)

// Retry considers those of the pods that wait for room, and returns them.
func (l *Ledger) Retry(pods []*corev1.Pod) []*corev1.Pod {
	waiting := l.waiting(pods)
	for _, pod := range waiting {
		l.consider(pod)
	}
	return waiting
}

// waiting returns those of the pods that wait for room, in the order in which they are
// to be looked at: first what asks for no more than it has, then by priority, then by
// class, then by how long they wait.
func (l *Ledger) waiting(pods []*corev1.Pod) []*corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*corev1.Pod
	grows := map[*corev1.Pod]bool{}
	for _, pod := range pods {
		if e := l.pods[pod.UID]; e != nil && e.pending != nil {
			out = append(out, pod)
			grows[pod] = more(pod, e.Allocated.in(pod))
		}
	}
	first := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(
			cmp.Compare(first(!grows[a]), first(!grows[b])),
			-cmp.Compare(schedulinghelper.PodPriority(a), schedulinghelper.PodPriority(b)),
			cmp.Compare(first(status.QOSClass(a) == corev1.PodQOSGuaranteed), first(status.QOSClass(b) == corev1.PodQOSGuaranteed)),
			compareSince(a, b),
		)
	})
	return out
}

// more reports whether a pod asks for more than it is allocated.
func more(wants, has *corev1.Pod) bool {
	now, then := resource.PodRequests(wants, resource.PodResourcesOptions{}), resource.PodRequests(has, resource.PodResourcesOptions{})
	return now.Cpu().Cmp(*then.Cpu()) > 0 || now.Memory().Cmp(*then.Memory()) > 0
}

// compareSince orders pods by when the API says that they began to wait; those of which
// it does not say so yet come last.
func compareSince(a, b *corev1.Pod) int {
	since := func(pod *corev1.Pod) (at int64, known bool) {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodResizePending {
				return c.LastTransitionTime.Unix(), true
			}
		}
		return 0, false
	}
	atA, knownA := since(a)
	atB, knownB := since(b)
	switch {
	case knownA && knownB:
		return cmp.Compare(atA, atB)
	case knownA:
		return -1
	case knownB:
		return 1
	}
	return 0
}
