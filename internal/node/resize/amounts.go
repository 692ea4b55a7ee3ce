package resize

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/podfields"
)

// Amounts are requests and limits of the containers of a pod, by name, and of the pod as
// a whole. They are shared: read only.
type Amounts struct {
	Pod        *corev1.ResourceRequirements           `json:"pod,omitempty"`
	Containers map[string]corev1.ResourceRequirements `json:"containers"`
}

// resizable are the resources that may change in a pod that runs.
var resizable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// of are those that a spec names.
func of(spec *corev1.PodSpec) Amounts {
	a := Amounts{Pod: spec.Resources.DeepCopy(), Containers: map[string]corev1.ResourceRequirements{}}
	for _, c := range podfields.DeclaredContainers(spec) {
		a.Containers[c.Name] = *c.Resources.DeepCopy()
	}
	return a
}

func (a Amounts) equal(b Amounts) bool { return apiequality.Semantic.DeepEqual(a, b) }

// in is pod with these amounts in its spec. It shares all else, and is pod itself where
// nothing differs. A container without an amount keeps its own.
func (a Amounts) in(pod *corev1.Pod) *corev1.Pod {
	out := pod
	if !apiequality.Semantic.DeepEqual(a.Pod, pod.Spec.Resources) {
		next := *pod
		next.Spec.Resources = a.Pod
		out = &next
	}
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		own, ok := a.Containers[c.Name]
		if !ok || apiequality.Semantic.DeepEqual(own, c.Resources) {
			continue
		}
		with := *c
		with.Resources = own
		out = lifecycle.With(out, &with)
	}
	return out
}

// with is a with the amount of some resources of one container taken from another one.
func (a Amounts) with(container string, from corev1.ResourceRequirements, names ...corev1.ResourceName) Amounts {
	out := Amounts{Pod: a.Pod, Containers: map[string]corev1.ResourceRequirements{}}
	for name, r := range a.Containers {
		out.Containers[name] = r
	}
	now := out.Containers[container]
	now.Requests, now.Limits = taking(now.Requests, from.Requests, names), taking(now.Limits, from.Limits, names)
	out.Containers[container] = now
	return out
}

// taking is list with some amounts from another one, those that it does not have left out.
func taking(list, from corev1.ResourceList, names []corev1.ResourceName) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, amount := range list {
		out[name] = amount
	}
	for _, name := range names {
		delete(out, name)
		if amount, ok := from[name]; ok {
			out[name] = amount
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// told is what a pod is allocated and what its containers have, as its status tells it:
// that is all there is to know of a pod that was started by an agent which kept no record.
func told(pod *corev1.Pod) (allocated, actuated Amounts) {
	allocated = of(&pod.Spec)
	actuated = Amounts{Pod: allocated.Pod, Containers: map[string]corev1.ResourceRequirements{}}
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		s := lifecycle.Reported(&pod.Status, c.Name)
		if s == nil || s.Resources == nil {
			continue
		}
		has := *s.Resources.DeepCopy()
		if s.State.Running != nil {
			actuated = actuated.with(c.Name, c.Resources, nonResizable(c.Resources)...).with(c.Name, has, resizable...)
		}
		if s.AllocatedResources != nil {
			has.Requests = s.AllocatedResources.DeepCopy()
		}
		allocated = allocated.with(c.Name, has, resizable...)
	}
	return allocated, actuated
}

func nonResizable(r corev1.ResourceRequirements) (names []corev1.ResourceName) {
	for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
		for name := range list {
			if name != corev1.ResourceCPU && name != corev1.ResourceMemory {
				names = append(names, name)
			}
		}
	}
	return names
}
