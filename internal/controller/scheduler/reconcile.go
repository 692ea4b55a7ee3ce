package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/nodefields"
)

// Why a node does not take a pod, as upstream's scheduler words it.
const (
	unschedulable = "node(s) were unschedulable"
	untolerated   = "node(s) had untolerated taint(s)"
	affinity      = "node(s) didn't match Pod's node affinity/selector"
	portsTaken    = "node(s) didn't have free ports for the requested pod ports"
	tooMany       = "Too many pods"
	insufficient  = "Insufficient "
	noNodes       = "no nodes available to schedule pods"
	notAvailable  = "0/%d nodes are available: %s."
)

// comparisons: tolerations with comparison operators are not honoured.
const comparisons = false

// candidate is a node with what its pods ask for.
type candidate struct {
	node  *corev1.Node
	used  amounts
	ports []hostPort
}

// choose returns the node for a pod, or "" and why there is none.
func choose(pod *corev1.Pod, d demand, nodes []candidate) (node, why string) {
	if len(nodes) == 0 {
		return "", noNodes
	}
	var best candidate
	reasons := map[string]int{}
	for _, c := range nodes {
		against := c.against(pod, d)
		for _, reason := range against {
			reasons[reason]++
		}
		if len(against) > 0 {
			continue
		}
		if best.node == nil || c.better(best, d) {
			best = c
		}
	}
	if best.node != nil {
		return best.node.Name, ""
	}
	return "", fmt.Sprintf(notAvailable, len(nodes), tally(reasons))
}

// tally writes reasons as "1 Insufficient cpu, 2 Too many pods".
func tally(reasons map[string]int) string {
	var items []string
	for reason, n := range reasons {
		items = append(items, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(items)
	return strings.Join(items, ", ")
}

// against returns what speaks against the node; of several checks only the first
// that fails speaks.
func (c candidate) against(pod *corev1.Pod, d demand) []string {
	switch {
	case c.node.Spec.Unschedulable && !tolerates(pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}):
		return []string{unschedulable}
	case !c.tolerated(pod):
		return []string{untolerated}
	case !c.matches(pod):
		return []string{affinity}
	case !c.portsFree(d.ports):
		return []string{portsTaken}
	}
	return c.lacks(d)
}

// tolerated checks the node's taints. A node that is not ready counts as tainted
// so, also while its taints have yet to be written.
func (c candidate) tolerated(pod *corev1.Pod) bool {
	blocks := func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}
	_, found := schedulinghelper.FindMatchingUntoleratedTaint(logr.Discard(), c.node.Spec.Taints, pod.Spec.Tolerations, blocks, comparisons)
	if found {
		return false
	}
	switch nodefields.Ready(c.node) {
	case corev1.ConditionTrue:
		return true
	case corev1.ConditionFalse:
		return tolerates(pod, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
	}
	return tolerates(pod, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
}

func tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	return schedulinghelper.TolerationsTolerateTaint(logr.Discard(), pod.Spec.Tolerations, &taint, comparisons)
}

func (c candidate) matches(pod *corev1.Pod) bool {
	match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(c.node)
	return err == nil && match
}

func (c candidate) portsFree(wanted []hostPort) bool {
	return !slices.ContainsFunc(wanted, func(p hostPort) bool { return slices.ContainsFunc(c.ports, p.conflicts) })
}

// lacks compares requests with what is allocatable and not asked for by others.
func (c candidate) lacks(d demand) []string {
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(d.amounts)) {
		wanted := d.amounts[name]
		if wanted == 0 || c.used[name]+wanted <= amount(name, c.node.Status.Allocatable[name]) {
			continue
		}
		if name == corev1.ResourcePods {
			reasons = append(reasons, tooMany)
		} else {
			reasons = append(reasons, insufficient+string(name))
		}
	}
	return reasons
}

// better reports whether c is the less used of two nodes, with the pod on it; of
// nodes used alike, the one with fewer pods.
func (c candidate) better(other candidate, d demand) bool {
	a, b := c.free(d), other.free(d)
	return a > b || a == b && c.used[corev1.ResourcePods] < other.used[corev1.ResourcePods]
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

// amount reads a quantity in the unit of amounts.
func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}
