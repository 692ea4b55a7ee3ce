package node

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
)

// admit refuses a new pod that the node has no room for, or that asks for another
// kind of node: the scheduler never binds one, but a pod may name its node itself.
// others are the pods that the node runs.
func admit(pod *corev1.Pod, others []*corev1.Pod, allocatable corev1.ResourceList, nodeLabels map[string]string) *status.Waiting {
	refuse := func(reason, format string, args ...any) *status.Waiting {
		return &status.Waiting{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(nodeLabels)) {
		return refuse("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
	}
	pods := int64(0)
	used := map[corev1.ResourceName]int64{}
	for _, o := range others {
		if lifecycle.Final(o.Status.Phase) || o.DeletionTimestamp != nil {
			continue
		}
		pods++
		for name, amount := range requests(o) {
			used[name] += amount
		}
	}
	const short = "Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d"
	if room := allocatable.Pods().Value(); pods+1 > room {
		return refuse("OutOfpods", short, corev1.ResourcePods, 1, pods, room)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		wanted := requests(pod)[name]
		room := amount(name, allocatable)
		if wanted > 0 && wanted+used[name] > room {
			return refuse("OutOf"+string(name), short, name, wanted, used[name], room)
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

// admit decides about a pod that is new to the node. It is called with mu held, so
// that pods are admitted one after the other.
func (a *Agent) admit(pod *corev1.Pod) *status.Waiting {
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
	return admit(pod, others, a.Allocatable(), node.Labels)
}
