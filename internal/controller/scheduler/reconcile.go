package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/controller/fit"
	"laterna.dev/laterna/internal/nodefields"
	"laterna.dev/laterna/internal/podfields"
)

// Why a node does not take a pod, as upstream's scheduler words it.
const (
	unschedulable = "node(s) were unschedulable"
	untolerated   = "node(s) had untolerated taint(s)"
	affinity      = "node(s) didn't match Pod's node affinity/selector"
	notNamed      = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
	portsTaken    = "node(s) didn't have free ports for the requested pod ports"
	tooMany       = "Too many pods"
	insufficient  = "Insufficient "
	noNodes       = "no nodes available to schedule pods"
	notAvailable  = "0/%d nodes are available: %s."
)

// world is what a decision is made from.
type world struct {
	nodes []candidate
	// namespace returns the labels of a namespace.
	namespace func(name string) labels.Set
	// budgets returns the disruption budgets of a namespace; nil where there are none.
	budgets func(namespace string) []*policyv1.PodDisruptionBudget
}

// candidate is a node with what its pods ask for.
type candidate struct {
	node  *corev1.Node
	used  amounts
	ports []podfields.HostPort
	pods  []booking
}

// refusal is what speaks against a node. It is final where it would be so without the
// node's pods.
type refusal struct {
	reasons []string
	final   bool
}

// unfit is why no node takes a pod, by node; where there are no nodes it is empty.
type unfit map[string]refusal

func (u unfit) String() string {
	if len(u) == 0 {
		return noNodes
	}
	reasons := map[string]int{}
	for _, r := range u {
		for _, reason := range r.reasons {
			reasons[reason]++
		}
	}
	return fmt.Sprintf(notAvailable, len(u), tally(reasons))
}

// choose returns the node for a pod, or "" and why there is none.
func (w world) choose(pod *corev1.Pod, d demand) (node string, why unfit) {
	f := w.filter(pod, d)
	why = unfit{}
	var fit []candidate
	for _, c := range w.nodes {
		if r := f.against(c); len(r.reasons) > 0 {
			why[c.node.Name] = r
		} else {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return "", why
	}
	return w.best(pod, d, fit).node.Name, nil
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

// filter is what a pod asks of a node, and of the other pods there are.
type filter struct {
	pod    *corev1.Pod
	demand demand
	// required is the pod's node selector and affinity.
	required nodeaffinity.RequiredNodeAffinity
	// named are the nodes that its affinity names; nil where it names none.
	named      map[string]bool
	neighbours neighbours
	spread     spread
}

func (w world) filter(pod *corev1.Pod, d demand) filter {
	f := filter{pod: pod, demand: d, required: nodeaffinity.GetRequiredNodeAffinity(pod), named: namedNodes(pod)}
	f.neighbours = w.neighboursOf(pod)
	f.spread = w.spreadOf(pod, f.required, corev1.DoNotSchedule)
	return f
}

// against returns what speaks against the node; of several checks only the first
// that fails speaks.
func (f filter) against(c candidate) refusal {
	final := func(reason string) refusal { return refusal{[]string{reason}, true} }
	switch {
	case f.named != nil && !f.named[c.node.Name]:
		return final(notNamed)
	case c.node.Spec.Unschedulable && !fit.Tolerates(f.pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}):
		return final(unschedulable)
	case !c.tolerated(f.pod):
		return final(untolerated)
	case !fit.Matches(f.required, c.node):
		return final(affinity)
	case !c.portsFree(f.demand.ports):
		return refusal{reasons: []string{portsTaken}}
	}
	if lacks := c.lacks(f.demand); len(lacks) > 0 {
		return refusal{lacks, c.tooSmall(f.demand)}
	}
	if r := f.spread.against(c.node); len(r.reasons) > 0 {
		return r
	}
	return f.neighbours.against(c.node)
}

// namedNodes returns the nodes that required affinity names, where each of its terms
// names some; else nil.
func namedNodes(pod *corev1.Pod) map[string]bool {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) == 0 {
		return nil
	}
	named := map[string]bool{}
	for _, t := range terms {
		at := slices.IndexFunc(t.MatchFields, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == metav1.ObjectNameField && r.Operator == corev1.NodeSelectorOpIn
		})
		if at < 0 {
			return nil
		}
		for _, name := range t.MatchFields[at].Values {
			named[name] = true
		}
	}
	return named
}

// tolerated checks the node's taints. A node that is not ready counts as tainted
// so, also while its taints have yet to be written.
func (c candidate) tolerated(pod *corev1.Pod) bool {
	if !fit.Tolerated(pod, c.node, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute) {
		return false
	}
	switch nodefields.Ready(c.node) {
	case corev1.ConditionTrue:
		return true
	case corev1.ConditionFalse:
		return fit.Tolerates(pod, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
	}
	return fit.Tolerates(pod, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
}

func (c candidate) portsFree(wanted []podfields.HostPort) bool {
	return !slices.ContainsFunc(wanted, func(p podfields.HostPort) bool { return slices.ContainsFunc(c.ports, p.Conflicts) })
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

// tooSmall tells whether the node could not hold the pod if it were empty.
func (c candidate) tooSmall(d demand) bool {
	c.used = nil
	return len(c.lacks(d)) > 0
}

// amount reads a quantity in the unit of amounts.
func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}
