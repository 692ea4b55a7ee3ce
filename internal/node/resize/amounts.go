package resize

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

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
	out := *pod
	out.Spec.Resources = a.Pod
	out.Spec.InitContainers, out.Spec.Containers = slices.Clone(pod.Spec.InitContainers), slices.Clone(pod.Spec.Containers)
	same := apiequality.Semantic.DeepEqual(a.Pod, pod.Spec.Resources)
	for _, c := range podfields.DeclaredContainers(&out.Spec) {
		if own, ok := a.Containers[c.Name]; ok && !apiequality.Semantic.DeepEqual(own, c.Resources) {
			c.Resources, same = own, false
		}
	}
	if same {
		return pod
	}
	return &out
}

// with is a with the amount of some resources of one container taken from another one.
func (a Amounts) with(container string, from corev1.ResourceRequirements, names ...corev1.ResourceName) Amounts {
	out := Amounts{Pod: a.Pod, Containers: maps.Clone(a.Containers)}
	out.Containers[container] = merged(out.Containers[container], from, names...)
	return out
}

// merged is to with the amount of some resources taken from another one.
func merged(to, from corev1.ResourceRequirements, names ...corev1.ResourceName) corev1.ResourceRequirements {
	to.Requests, to.Limits = taking(to.Requests, from.Requests, names), taking(to.Limits, from.Limits, names)
	return to
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
	reported := map[string]*corev1.ContainerStatus{}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			reported[list[i].Name] = &list[i]
		}
	}
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		s := reported[c.Name]
		if s == nil || s.Resources == nil {
			continue
		}
		has := *s.Resources.DeepCopy()
		if s.State.Running != nil {
			actuated.Containers[c.Name] = merged(c.Resources, has, resizable...)
		}
		if s.AllocatedResources != nil {
			has.Requests = s.AllocatedResources.DeepCopy()
		}
		allocated.Containers[c.Name] = merged(c.Resources, has, resizable...)
	}
	return allocated, actuated
}
