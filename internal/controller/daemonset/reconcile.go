package daemonset

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/controller/workload"
)

// most is how many pods are made, and how many deleted, in one go.
const most = 250

// view is what a decision is made from.
type view struct {
	set   *appsv1.DaemonSet
	nodes []*corev1.Node
	// pods are the set's by the nodes that they are for, those on a node before those
	// that wait for it, the oldest first.
	pods map[string][]*corev1.Pod
	hash string // of the template, by its revision
	now  time.Time
	// pause is how long a pod that has failed on a node is left there; 0 is not at all.
	pause func(node string) time.Duration
}

// plan is what is to be done now.
type plan struct {
	make   []string // nodes
	remove []*corev1.Pod
	// ended are those of remove that have failed or succeeded, which is told.
	ended []*corev1.Pod
	// wait is how long until one that has failed may be removed; 0 is that none waits.
	wait time.Duration
}

func (p plan) nothing() bool { return len(p.make) == 0 && len(p.remove) == 0 }

// byNode sorts a set's pods to nodes. One that has ended and is being deleted counts no
// more.
func byNode(pods []*corev1.Pod) map[string][]*corev1.Pod {
	all := map[string][]*corev1.Pod{}
	for _, pod := range pods {
		if workload.Terminal(pod) && pod.DeletionTimestamp != nil {
			continue
		}
		node := nodeOf(pod)
		all[node] = append(all[node], pod)
	}
	for _, there := range all {
		slices.SortStableFunc(there, func(a, b *corev1.Pod) int {
			if bound := a.Spec.NodeName != ""; bound != (b.Spec.NodeName != "") {
				if bound {
					return -1
				}
				return 1
			}
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		})
	}
	return all
}

// decide says which pods to make and to delete so that there is one on each node that is
// to have one, and, once that is so, to bring an update further.
func (v view) decide() plan {
	var p plan
	placement := placementOf(v.set)
	known := map[string]bool{}
	for _, node := range v.nodes {
		known[node.Name] = true
		run, stay := placement.of(node)
		v.onNode(node.Name, run, stay, &p)
	}
	for node, pods := range v.pods {
		for _, pod := range pods {
			// Nobody else deletes a pod that waits for a node that is gone.
			if !known[node] && node != "" && pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
				p.remove = append(p.remove, pod)
			}
		}
	}
	if p.nothing() && v.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		v.update(placement, &p)
	}
	p.make = p.make[:min(most, len(p.make))]
	p.remove = p.remove[:min(most, len(p.remove))]
	p.ended = slices.DeleteFunc(p.ended, func(pod *corev1.Pod) bool { return !slices.Contains(p.remove, pod) })
	return p
}

// onNode decides about one node.
func (v view) onNode(node string, run, stay bool, p *plan) {
	pods := v.pods[node]
	switch {
	case run && len(pods) == 0:
		p.make = append(p.make, node)
		return
	case !stay:
		for _, pod := range pods {
			if pod.DeletionTimestamp == nil {
				p.remove = append(p.remove, pod)
			}
		}
		return
	}
	runs := v.running(node, pods, p)
	switch {
	case !v.surges():
		p.remove = append(p.remove, runs[min(1, len(runs)):]...)
	case len(runs) == 0 && run:
		// One that ends does not keep its successor waiting.
		p.make = append(p.make, node)
	case len(runs) > 1:
		v.prune(runs, p)
	}
}

// running are those of a node's pods that have not ended, and are not to be. Others are
// removed; one that has failed after a pause, since it may well fail again.
func (v view) running(node string, pods []*corev1.Pod, p *plan) (runs []*corev1.Pod) {
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodFailed:
			if left := v.pause(node); left > 0 {
				if p.wait == 0 || left < p.wait {
					p.wait = left
				}
				continue
			}
			p.remove, p.ended = append(p.remove, pod), append(p.ended, pod)
		case pod.Status.Phase == corev1.PodSucceeded:
			p.remove, p.ended = append(p.remove, pod), append(p.ended, pod)
		default:
			runs = append(runs, pod)
		}
	}
	return runs
}

// prune leaves of several pods on a node the oldest new one, and the oldest old one while
// it is ready and the new one is not available.
func (v view) prune(runs []*corev1.Pod, p *plan) {
	var newest, old *corev1.Pod
	for _, pod := range runs {
		switch isNew := pod.Labels[appsv1.ControllerRevisionHashLabelKey] == v.hash; {
		case isNew && newest == nil:
			newest = pod
		case !isNew && old == nil:
			old = pod
		default:
			p.remove = append(p.remove, pod)
		}
	}
	if newest == nil || old == nil {
		return
	}
	if _, ready := workload.Ready(old); !ready || v.available(newest) {
		p.remove = append(p.remove, old)
	}
}

// bounds are how many pods may be unavailable, and how many made beside old ones.
func (v view) bounds(desired int) (unavailable, surge int) {
	scaled := func(n *intstr.IntOrString) int {
		value, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(n, intstr.FromInt32(0)), desired, true)
		if err != nil {
			return 0 // refused when it was written
		}
		return value
	}
	if r := v.set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		unavailable, surge = scaled(r.MaxUnavailable), scaled(r.MaxSurge)
	}
	if desired > 0 && unavailable == 0 && surge == 0 {
		unavailable = 1
	}
	return unavailable, surge
}

func (v view) surges() bool {
	r := v.set.Spec.UpdateStrategy.RollingUpdate
	if v.set.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || r == nil || r.MaxSurge == nil {
		return false
	}
	_, surge := v.bounds(100)
	return surge > 0
}

func (v view) available(pod *corev1.Pod) bool {
	_, ok := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now)
	return ok
}

// isNew tells whether a pod is of the template as it is. Its generation counts for pods of
// a revision that was adopted.
func (v view) isNew(pod *corev1.Pod) bool {
	generation := v.set.Annotations[appsv1.DeprecatedTemplateGeneration]
	return pod.Labels[appsv1.ControllerRevisionHashLabelKey] == v.hash || generation != "" && pod.Labels[generationLabel] == generation
}
