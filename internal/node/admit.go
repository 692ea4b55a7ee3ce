package node

import (
	"context"
	"fmt"
	goruntime "runtime"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
)

// admission is what the node is, for the decision about a pod.
type admission struct {
	// others are the pods that the node runs.
	others      []*corev1.Pod
	allocatable corev1.ResourceList
	node        *corev1.Node
	// reread returns the node as the API has it now, nil when that is not known: its
	// labels may be newer than what the agent saw last.
	reread func() *corev1.Node
}

// refuse returns why a new pod cannot run here: the node has no room for it, or it
// asks for another kind of node. The scheduler never binds such a pod, but a pod may
// name its node itself. Nil admits it.
func (a admission) refuse(pod *corev1.Pod) *status.Waiting {
	if pod.Spec.OS != nil && string(pod.Spec.OS.Name) != goruntime.GOOS {
		return refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
	}
	if why := forbiddenSysctl(&pod.Spec); why != nil {
		return why
	}
	if !matches(pod, a.node) {
		if node := a.reread(); node == nil || !matches(pod, node) {
			return refusal("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
		}
	}
	return a.short(pod)
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
func (a admission) short(pod *corev1.Pod) *status.Waiting {
	pods := int64(0)
	used := map[corev1.ResourceName]int64{}
	for _, o := range a.others {
		if lifecycle.Final(o.Status.Phase) || o.DeletionTimestamp != nil {
			continue
		}
		pods++
		for name, amount := range requests(o) {
			used[name] += amount
		}
	}
	const short = "Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d"
	if room := a.allocatable.Pods().Value(); pods+1 > room {
		return refusal("OutOfpods", short, corev1.ResourcePods, 1, pods, room)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		wanted := requests(pod)[name]
		room := amount(name, a.allocatable)
		if wanted > 0 && wanted+used[name] > room {
			return refusal("OutOf"+string(name), short, name, wanted, used[name], room)
		}
	}
	return nil
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

// rereadTime bounds the reading of the node, for which all new pods wait.
const rereadTime = 2 * time.Second

// admit decides about a pod that is new to the node. It is called with mu held, so
// that pods are admitted one after the other.
func (a *Agent) admit(ctx context.Context, pod *corev1.Pod) *status.Waiting {
	node := a.registrar.Node()
	if pod.Status.StartTime != nil || pod.DeletionTimestamp != nil || node == nil {
		return nil
	}
	var others []*corev1.Pod
	for _, w := range a.pods.byUID {
		if s := w.Snapshot(); !s.Gone && s.Refused == nil {
			others = append(others, s.API)
		}
	}
	return admission{others, a.Allocatable(), node, func() *corev1.Node { return a.rereadNode(ctx) }}.refuse(pod)
}

// rereadNode returns the node as the API has it now, nil when it does not answer.
func (a *Agent) rereadNode(ctx context.Context) *corev1.Node {
	ctx, cancel := context.WithTimeout(ctx, rereadTime)
	defer cancel()
	node, err := a.cfg.Client.CoreV1().Nodes().Get(ctx, a.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		a.cfg.Log.Warn("node not read for the admission of a pod, going by its labels as last seen", "node", a.cfg.NodeName, "error", err)
		return nil
	}
	return node
}
