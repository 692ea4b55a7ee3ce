package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/controller/fit"
)

// What speaks for a node, in upstream's weights; each is a number from 0 to 100.
const (
	weightOfTaints   = 3
	weightOfAffinity = 2
	weightOfPods     = 2
	weightOfSpread   = 2
)

// best returns the node that most speaks for; of nodes alike the one with fewer pods.
func (w world) best(pod *corev1.Pod, d demand, fit []candidate) candidate {
	if len(fit) == 1 {
		return fit[0]
	}
	totals := make([]int64, len(fit))
	for i, c := range fit {
		totals[i] = c.free(d) / 2
	}
	add := func(weight int64, values []int64) {
		for i, v := range values {
			totals[i] += weight * v
		}
	}
	add(weightOfTaints, scaled(each(fit, func(c candidate) int64 { return -c.discouraging(pod) })))
	if terms, err := preferredNodes(pod); err == nil && terms != nil {
		add(weightOfAffinity, scaled(each(fit, func(c candidate) int64 { return terms.Score(c.node) })))
	}
	add(weightOfPods, scaled(w.preferred(pod, fit)))
	if s := w.spreadOf(pod, nodeaffinity.GetRequiredNodeAffinity(pod), corev1.ScheduleAnyway); len(s) > 0 {
		add(weightOfSpread, scaled(each(fit, func(c candidate) int64 { return -s.crowd(c.node) })))
	}
	best := 0
	for i, c := range fit {
		if totals[i] > totals[best] || totals[i] == totals[best] && c.used[corev1.ResourcePods] < fit[best].used[corev1.ResourcePods] {
			best = i
		}
	}
	return fit[best]
}

func each(fit []candidate, value func(candidate) int64) []int64 {
	values := make([]int64, len(fit))
	for i, c := range fit {
		values[i] = value(c)
	}
	return values
}

// scaled brings values to 0 to 100; where all are alike they say nothing.
func scaled(values []int64) []int64 {
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	for i, v := range values {
		if values[i] = 0; most > least {
			values[i] = (v - least) * 100 / (most - least)
		}
	}
	return values
}

// discouraging counts the taints that the pod should rather avoid.
func (c candidate) discouraging(pod *corev1.Pod) (n int64) {
	for i := range c.node.Spec.Taints {
		taint := &c.node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule && !fit.Tolerates(pod, *taint) {
			n++
		}
	}
	return n
}

// preferredNodes are the node affinity terms that a pod prefers, nil where there are none.
func preferredNodes(pod *corev1.Pod) (*nodeaffinity.PreferredSchedulingTerms, error) {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return nil, nil
	}
	return nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
}

// What a pod counts for that requests nothing, so that such pods spread.
const (
	leastCPU    = 100               // thousandths of a core
	leastMemory = 200 * 1024 * 1024 // bytes
)

// free is the share of CPU and memory that stays free, in percent of both.
func (c candidate) free(d demand) int64 {
	return c.freeOf(corev1.ResourceCPU, max(d.amounts[corev1.ResourceCPU], leastCPU)) +
		c.freeOf(corev1.ResourceMemory, max(d.amounts[corev1.ResourceMemory], leastMemory))
}

func (c candidate) freeOf(name corev1.ResourceName, wanted int64) int64 {
	all := amount(name, c.node.Status.Allocatable[name])
	used := c.used[name] + wanted
	if all <= 0 || used >= all {
		return 0
	}
	return (all - used) * 100 / all
}
