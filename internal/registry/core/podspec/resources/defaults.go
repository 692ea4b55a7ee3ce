package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// RequestsFromLimits lets requests that are not given follow the limits.
func RequestsFromLimits(r *corev1.ResourceRequirements) {
	if r.Limits == nil {
		return
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			r.Requests[name] = limit.DeepCopy()
		}
	}
}

// RoundUp rounds quantities up to a thousandth, the finest the API stores.
func RoundUp(list corev1.ResourceList) {
	for name, q := range list {
		q.RoundUp(resource.Milli)
		list[name] = q
	}
}

// DefaultPod fills in spec.resources.requests of a pod that has pod-level limits
// (KEP-2837): a resource that containers request gets their sum, another one its
// limit.
func DefaultPod(pod *corev1.Pod) {
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
		add(name, Overcommits(name), sum)
	}
	for name := range r.Limits {
		add(name, true, r.Limits)
	}
	if len(requests) > 0 {
		r.Requests = requests
	}
}
