package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/controller/fit"
)

// Why a node does not take a pod that is to be spread.
const (
	tooSkewed = "node(s) didn't match pod topology spread constraints"
	noLabel   = tooSkewed + " (missing required label)"
)

// spreadRule is a topology spread constraint with the pods that each value of its label
// has.
type spreadRule struct {
	key        string
	maxSkew    int64
	minDomains int
	selector   labels.Selector
	// self is 1 where the pod counts for its own rule.
	self int64
	pods map[string]int64
}

// spread is the constraints of a pod.
type spread []spreadRule

// spreadOf returns the constraints of a kind. Only nodes that have all their labels count.
func (w world) spreadOf(pod *corev1.Pod, required nodeaffinity.RequiredNodeAffinity, kind corev1.UnsatisfiableConstraintAction) spread {
	var s spread
	var from []corev1.TopologySpreadConstraint
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable != kind {
			continue
		}
		r := spreadRule{key: c.TopologyKey, maxSkew: int64(c.MaxSkew), minDomains: 1, pods: map[string]int64{}}
		r.selector = withKeys(selectorOf(c.LabelSelector), pod, c.MatchLabelKeys, selection.In)
		if c.MinDomains != nil {
			r.minDomains = int(*c.MinDomains)
		}
		if r.selector.Matches(labels.Set(pod.Labels)) {
			r.self = 1
		}
		s, from = append(s, r), append(from, c)
	}
	if len(s) == 0 {
		return nil
	}
	for _, c := range w.nodes {
		if !s.labelled(c.node) {
			continue
		}
		for i, r := range s {
			if counts(from[i], pod, required, c) {
				r.pods[c.node.Labels[r.key]] += r.on(c, pod)
			}
		}
	}
	return s
}

// counts tells whether a constraint looks at a node.
func counts(c corev1.TopologySpreadConstraint, pod *corev1.Pod, required nodeaffinity.RequiredNodeAffinity, on candidate) bool {
	if (c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor) && !fit.Matches(required, on.node) {
		return false
	}
	return c.NodeTaintsPolicy == nil || *c.NodeTaintsPolicy != corev1.NodeInclusionPolicyHonor || on.tolerated(pod)
}

// on counts the pods of a node that a rule spreads.
func (r spreadRule) on(c candidate, pod *corev1.Pod) (n int64) {
	for _, b := range c.pods {
		if b.pod.Namespace == pod.Namespace && b.pod.DeletionTimestamp == nil && r.selector.Matches(labels.Set(b.pod.Labels)) {
			n++
		}
	}
	return n
}

func (s spread) labelled(node *corev1.Node) bool {
	for _, r := range s {
		if _, ok := node.Labels[r.key]; !ok {
			return false
		}
	}
	return true
}

// least is how many pods the emptiest place has; a place that should be there and is not
// has none.
func (r spreadRule) least() int64 {
	if len(r.pods) < r.minDomains {
		return 0
	}
	least, first := int64(0), true
	for _, n := range r.pods {
		if first || n < least {
			least, first = n, false
		}
	}
	return least
}

func (s spread) against(node *corev1.Node) refusal {
	for _, r := range s {
		value, ok := node.Labels[r.key]
		if !ok {
			return refusal{[]string{noLabel}, true}
		}
		if r.pods[value]+r.self-r.least() > r.maxSkew {
			return refusal{reasons: []string{tooSkewed}}
		}
	}
	return refusal{}
}

// crowd is how many of the pods to spread are where the node is. A node without the labels
// counts as the fullest.
func (s spread) crowd(node *corev1.Node) (n int64) {
	for _, r := range s {
		value, ok := node.Labels[r.key]
		if ok {
			n += r.pods[value]
			continue
		}
		for _, most := range r.pods {
			n += most
		}
		n++
	}
	return n
}
