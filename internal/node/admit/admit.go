// Package admit decides whether a node takes a pod.
//
// It owns that decision and its words, as upstream's; what the node and its pods are is told
// by internal/node, and the Failed pod comes of internal/node/status.
package admit

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/nodefields"
	"laterna.dev/laterna/internal/podfields"
)

// Node is what decides about a pod. Every field is required.
type Node struct {
	// Others are the pods that the node runs.
	Others      []*corev1.Pod
	Allocatable corev1.ResourceList
	// Seen is the node as it was seen last, nil before that.
	Seen *corev1.Node
	// Reread returns the node as the API has it now, nil when that is not known: its
	// labels may be newer than what was seen last.
	Reread func() *corev1.Node
}

// Refuse returns why a new pod cannot run here: the node has no room for it, or it
// asks for another kind of node. The scheduler never binds such a pod, but a pod may
// name its node itself. Nil admits it.
func (n Node) Refuse(pod *corev1.Pod) *status.Waiting {
	if pod.Spec.OS != nil && string(pod.Spec.OS.Name) != runtime.GOOS {
		return refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
	}
	if why := forbiddenSysctl(&pod.Spec); why != nil {
		return why
	}
	if n.Seen == nil {
		return cmp.Or(n.short(pod), n.portsTaken(pod))
	}
	if why := n.pressed(pod); why != nil {
		return why
	}
	if !matches(pod, n.Seen) {
		if node := n.Reread(); node == nil || !matches(pod, node) {
			return refusal("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
		}
	}
	if why := n.short(pod); why != nil {
		return why
	}
	if why := n.portsTaken(pod); why != nil {
		return why
	}
	return n.lacks(pod)
}

// pressed refuses a pod while the node is short of something; of memory alone, only one that
// has asked for nothing and does not tolerate that.
func (n Node) pressed(pod *corev1.Pod) *status.Waiting {
	var short []string
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		if c := nodefields.Condition(n.Seen, kind); c != nil && c.Status == corev1.ConditionTrue {
			short = append(short, string(kind))
		}
	}
	memoryAlone := len(short) == 1 && short[0] == string(corev1.NodeMemoryPressure)
	switch {
	case len(short) == 0 || Critical(pod):
		return nil
	case memoryAlone && (status.QOSClass(pod) != corev1.PodQOSBestEffort || toleratesMemory(pod)):
		return nil
	}
	return refusal(events.Evicted, "The node had condition: [%s]. ", strings.Join(short, " "))
}

func toleratesMemory(pod *corev1.Pod) bool {
	taint := corev1.Taint{Key: corev1.TaintNodeMemoryPressure, Effect: corev1.TaintEffectNoSchedule}
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.ToleratesTaint(logr.Discard(), &taint, false) })
}

// portsTaken refuses a port of the node that a pod has which has not ended, also while
// that is being deleted.
func (n Node) portsTaken(pod *corev1.Pod) *status.Waiting {
	wanted := podfields.HostPorts(&pod.Spec)
	if len(wanted) == 0 {
		return nil
	}
	for _, o := range n.Others {
		if lifecycle.Final(o.Status.Phase) {
			continue
		}
		for _, taken := range podfields.HostPorts(&o.Spec) {
			if slices.ContainsFunc(wanted, taken.Conflicts) {
				return refusal("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
			}
		}
	}
	return nil
}

// lacks refuses what the node's runtime would ignore: groups that the pod does not want.
func (n Node) lacks(pod *corev1.Pod) *status.Waiting {
	const strict = corev1.SupplementalGroupsPolicyStrict
	sc := pod.Spec.SecurityContext
	if sc == nil || sc.SupplementalGroupsPolicy == nil || *sc.SupplementalGroupsPolicy != strict || knowsStrictGroups(n.Seen) {
		return nil
	}
	if node := n.Reread(); node != nil && knowsStrictGroups(node) {
		return nil
	}
	return refusal("SupplementalGroupsPolicyNotSupported", "SupplementalGroupsPolicy=%s is not supported in this node", strict)
}

func knowsStrictGroups(node *corev1.Node) bool {
	f := node.Status.Features
	return f != nil && f.SupplementalGroupsPolicy != nil && *f.SupplementalGroupsPolicy
}

// systemCritical is the lowest priority of pods that are never evicted.
const systemCritical = 2_000_000_000

// Critical reports whether a pod is never evicted, whatever the node lacks.
func Critical(pod *corev1.Pod) bool {
	return pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical
}

func refusal(reason, format string, args ...any) *status.Waiting {
	return &status.Waiting{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// matches tells whether a pod wants a node like this one.
func matches(pod *corev1.Pod, node *corev1.Node) bool {
	ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	return ok && err == nil
}

// short says of what the node has not enough for a pod, nil when there is room.
func (n Node) short(pod *corev1.Pod) *status.Waiting {
	pods := int64(0)
	used := map[corev1.ResourceName]int64{}
	for _, o := range n.Others {
		if lifecycle.Final(o.Status.Phase) || o.DeletionTimestamp != nil {
			continue
		}
		pods++
		for name, amount := range requests(o) {
			used[name] += amount
		}
	}
	const short = "Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d"
	if room := n.Allocatable.Pods().Value(); pods+1 > room {
		return refusal("OutOfpods", short, corev1.ResourcePods, 1, pods, room)
	}
	wants := requests(pod)
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		room, known := n.room(name)
		if wanted := wants[name]; known && wanted > 0 && wanted+used[name] > room {
			return refusal("OutOf"+string(name), short, name, wanted, used[name], room)
		}
	}
	return nil
}

// room is how much of a resource the node has for pods. What it does not know of it does
// not count.
func (n Node) room(name corev1.ResourceName) (room int64, known bool) {
	list := n.Allocatable
	if nodefields.Extended(name) {
		if n.Seen == nil {
			return 0, false // others offer it, in what was not seen yet
		}
		list = n.Seen.Status.Allocatable
	}
	_, known = list[name]
	return amount(name, list), known
}

// requests is what a pod asks for, as a whole or by its containers: CPU in
// thousandths, the rest in bytes.
func requests(pod *corev1.Pod) map[corev1.ResourceName]int64 {
	out, list := map[corev1.ResourceName]int64{}, resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	for name := range list {
		out[name] = amount(name, list)
	}
	return out
}

func amount(name corev1.ResourceName, list corev1.ResourceList) int64 {
	q := list[name]
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}
