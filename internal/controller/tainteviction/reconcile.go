package tainteviction

import (
	"maps"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
)

// mark is a taint that evicts.
type mark struct{ key, value string }

// comparisons: tolerations with comparison operators are not honoured.
const comparisons = false

// arrivals returns the taints of a node that evict, with when each was first seen, as was
// known before, else now. What a taint says of itself does not count: a system that was
// off for long would evict at its start, before its nodes can be heard.
func arrivals(node *corev1.Node, before map[mark]time.Time, now time.Time) map[mark]time.Time {
	all := map[mark]time.Time{}
	for _, t := range node.Spec.Taints {
		if t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		m := mark{t.Key, t.Value}
		if known, ok := before[m]; ok {
			all[m] = known
		} else {
			all[m] = now
		}
	}
	return all
}

func same(a, b map[mark]time.Time) bool { return maps.Equal(a, b) }

// due tells whether a pod has to leave its node, and when: at once for a taint that it
// does not tolerate, else when the shortest of its tolerations ends. They begin with the
// taint, or with the pod's coming where it came later.
func due(pod *corev1.Pod, node *corev1.Node, arrived map[mark]time.Time, came time.Time) (at time.Time, ends bool) {
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		left, forever := tolerated(pod, taint)
		if forever {
			continue
		}
		began := arrived[mark{taint.Key, taint.Value}]
		if came.After(began) {
			began = came
		}
		if end := began.Add(left); !ends || end.Before(at) {
			at, ends = end, true
		}
	}
	return at, ends
}

// tolerated returns how long a pod tolerates a taint: as long as the shortest toleration
// says, of those that match.
func tolerated(pod *corev1.Pod, taint *corev1.Taint) (left time.Duration, forever bool) {
	matched, limited := false, false
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		if !schedulinghelper.TolerationsTolerateTaint(logr.Discard(), []corev1.Toleration{*t}, taint, comparisons) {
			continue
		}
		matched = true
		if t.TolerationSeconds == nil {
			continue
		}
		if d := max(0, time.Duration(min(*t.TolerationSeconds, most))*time.Second); !limited || d < left {
			left, limited = d, true
		}
	}
	return left, matched && !limited
}

// most is how many seconds a toleration lasts at most, a century.
const most = 100 * 365 * 24 * 3600
