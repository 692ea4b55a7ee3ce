package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"

	"laterna.dev/laterna/internal/podfields"
)

// What is said of pods that nobody makes way for, as upstream's scheduler words it.
const (
	never       = "preemption: not eligible due to preemptionPolicy=Never."
	terminating = "preemption: not eligible due to a terminating pod on the nominated node."
	noHelp      = "Preemption is not helpful for scheduling"
	noVictims   = "No preemption victims found for incoming pod"
)

// mostTried is how many nodes are tried whose pods could make way.
const mostTried = 100

// preemption is a node and the pods that are to make way there.
type preemption struct {
	node    string
	victims []*corev1.Pod // the most important one first
	// exceeding is how many of them a disruption budget would rather keep.
	exceeding int
}

// preempt returns who can make way for a pod, or why nobody does. nominated is the node
// on which others make way for it already, or "".
func (w world) preempt(pod *corev1.Pod, d demand, why unfit, nominated string) (p *preemption, text string) {
	if pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == corev1.PreemptNever {
		return nil, never
	}
	if nominated != "" && !why[nominated].final && w.ending(pod, nominated) {
		return nil, terminating
	}
	reasons, tried := map[string]int{}, 0
	var best *preemption
	for i, c := range w.nodes {
		r := why[c.node.Name]
		switch {
		case r.final:
			reasons[noHelp]++
			continue
		case tried == mostTried:
			continue
		}
		victims, exceeding, against := w.victims(pod, d, i)
		for _, reason := range against {
			reasons[reason]++
		}
		if len(victims) > 0 {
			tried++
			if p := (&preemption{c.node.Name, victims, exceeding}); best == nil || p.better(best) {
				best = p
			}
		}
	}
	if best != nil {
		return best, ""
	}
	if len(w.nodes) == 0 {
		return nil, ""
	}
	return nil, "preemption: " + fmt.Sprintf(notAvailable, len(w.nodes), tally(reasons))
}

// ending tells whether a pod of less priority than pod ends on the node.
func (w world) ending(pod *corev1.Pod, node string) bool {
	for _, c := range w.nodes {
		if c.node.Name != node {
			continue
		}
		return slices.ContainsFunc(c.pods, func(b booking) bool {
			return b.pod.DeletionTimestamp != nil && schedulinghelper.PodPriority(b.pod) < schedulinghelper.PodPriority(pod)
		})
	}
	return false
}

// victims returns the pods of a node that have to make way, as few and unimportant ones as
// can be, and how many of them exceed their budgets, or why that would not help.
func (w world) victims(pod *corev1.Pod, d demand, at int) (victims []*corev1.Pod, exceeding int, against []string) {
	var stay, lower []booking
	for _, b := range w.nodes[at].pods {
		if schedulinghelper.PodPriority(b.pod) < schedulinghelper.PodPriority(pod) {
			lower = append(lower, b)
		} else {
			stay = append(stay, b)
		}
	}
	if len(lower) == 0 {
		return nil, 0, []string{noVictims}
	}
	without := w
	without.nodes = slices.Clone(w.nodes)
	try := func(stay []booking) []string {
		without.nodes[at] = w.nodes[at].with(stay)
		return without.filter(pod, d).against(without.nodes[at]).reasons
	}
	if against := try(stay); len(against) > 0 {
		return nil, 0, against
	}
	slices.SortFunc(lower, important)
	var leaving []booking
	kept := func(b booking) bool {
		with := append(slices.Clone(stay), b)
		if len(try(with)) > 0 {
			leaving = append(leaving, b)
			return false
		}
		stay = with
		return true
	}
	first, others := w.spare(lower)
	for _, b := range first {
		if !kept(b) {
			exceeding++
		}
	}
	for _, b := range others {
		kept(b)
	}
	slices.SortFunc(leaving, important)
	for _, b := range leaving {
		victims = append(victims, b.pod)
	}
	return victims, exceeding, nil
}

// with is the candidate with only these of its pods. What is kept for nominated pods
// stays.
func (c candidate) with(stay []booking) candidate {
	kept := candidate{node: c.node, used: maps.Clone(c.used), pods: stay}
	ports := map[podfields.HostPort]int{}
	for _, p := range c.ports {
		ports[p]++
	}
	for _, b := range c.pods {
		if slices.ContainsFunc(stay, func(s booking) bool { return s.pod.UID == b.pod.UID }) {
			continue
		}
		kept.used.add(b.amounts, -1)
		for _, p := range b.ports {
			ports[p]--
		}
	}
	for p, n := range ports {
		if n > 0 {
			kept.ports = append(kept.ports, p)
		}
	}
	return kept
}

// important orders pods: those of more priority first, then those that have run longer.
func important(a, b booking) int {
	return cmp.Or(cmp.Compare(schedulinghelper.PodPriority(b.pod), schedulinghelper.PodPriority(a.pod)), started(a.pod).Compare(started(b.pod)), cmp.Compare(a.pod.UID, b.pod.UID))
}

// started is when a pod began, the time of its creation where nobody has said so.
func started(pod *corev1.Pod) time.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	return pod.CreationTimestamp.Time
}

// better compares who would have to make way: upstream's order.
func (p *preemption) better(q *preemption) bool {
	sum := func(all []*corev1.Pod) (n int64) {
		for _, v := range all {
			n += int64(schedulinghelper.PodPriority(v)) + 1<<31 // so that fewer pods of negative priority win
		}
		return n
	}
	return cmp.Or(
		cmp.Compare(p.exceeding, q.exceeding),
		cmp.Compare(schedulinghelper.PodPriority(p.victims[0]), schedulinghelper.PodPriority(q.victims[0])),
		cmp.Compare(sum(p.victims), sum(q.victims)),
		cmp.Compare(len(p.victims), len(q.victims)),
		started(q.victims[0]).Compare(started(p.victims[0])),
	) < 0
}
