package podspec

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// podRequests fills in spec.resources.requests of a pod that has pod-level limits
// (KEP-2837): a resource that containers request gets their sum, another one its
// limit.
func podRequests(pod *corev1.Pod) {
	r := pod.Spec.Resources
	if r == nil || len(r.Limits) == 0 {
		return
	}
	requests := r.Requests
	if requests == nil {
		requests = corev1.ResourceList{}
	}
	add := func(name corev1.ResourceName, allowed bool, list corev1.ResourceList) {
		if _, ok := requests[name]; !ok && allowed && resourcehelper.IsSupportedPodLevelResource(name) {
			requests[name] = list[name].DeepCopy()
		}
	}
	sum := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	for name := range sum {
		add(name, overcommits(name), sum)
	}
	for name := range r.Limits {
		add(name, true, r.Limits)
	}
	if len(requests) > 0 {
		r.Requests = requests
	}
}
