// Package fit says whether a node is one that a pod may be on by what both say of
// themselves: taints and tolerations, labels and required affinity. What else speaks for or
// against a node (room, ports, other pods) is the business of internal/controller/scheduler;
// internal/controller/daemonset asks the same of a node as it does.
package fit

import (
	"slices"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Comparisons: tolerations with comparison operators are not honoured.
const Comparisons = false

// Tolerated tells whether a pod tolerates all taints of a node that have one of some
// effects.
func Tolerated(pod *corev1.Pod, node *corev1.Node, effects ...corev1.TaintEffect) bool {
	counts := func(t *corev1.Taint) bool { return slices.Contains(effects, t.Effect) }
	_, found := schedulinghelper.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, pod.Spec.Tolerations, counts, Comparisons)
	return !found
}

// Tolerates tells whether a pod tolerates a taint.
func Tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	return schedulinghelper.TolerationsTolerateTaint(logr.Discard(), pod.Spec.Tolerations, &taint, Comparisons)
}

// Matches tells whether a node is one that a pod's selector and required affinity ask for.
func Matches(required nodeaffinity.RequiredNodeAffinity, node *corev1.Node) bool {
	match, err := required.Match(node)
	return err == nil && match
}
