package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/podfields"
)

// QOSClass returns the quality of service of a pod: Guaranteed when every container
// has limits of CPU and memory and asks for all of them, BestEffort when none asks
// for or limits anything, else Burstable. Pod-level resources count in place of the
// containers' where they are given.
func QOSClass(spec *corev1.PodSpec) corev1.PodQOSClass {
	q := qos{requests: corev1.ResourceList{}, limits: corev1.ResourceList{}, limited: true}
	if r := spec.Resources; r != nil && len(r.Requests)+len(r.Limits) > 0 {
		q.add(r)
	} else {
		for _, c := range podfields.DeclaredContainers(spec) {
			q.add(&c.Resources)
		}
	}
	return q.class()
}

// qos sums up requests and limits. limited stays true while all had both limits.
type qos struct {
	requests, limits corev1.ResourceList
	limited          bool
}

func (q *qos) add(r *corev1.ResourceRequirements) {
	limits := 0
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		sum(q.requests, r.Requests, name)
		if sum(q.limits, r.Limits, name) {
			limits++
		}
	}
	q.limited = q.limited && limits == 2
}

// sum adds the positive amount of name in list to total, and says if there was one.
func sum(total, list corev1.ResourceList, name corev1.ResourceName) bool {
	amount, ok := list[name]
	if !ok || amount.Cmp(resource.Quantity{}) <= 0 {
		return false
	}
	have := total[name].DeepCopy()
	have.Add(amount)
	total[name] = have
	return true
}

func (q *qos) class() corev1.PodQOSClass {
	if len(q.requests) == 0 && len(q.limits) == 0 {
		return corev1.PodQOSBestEffort
	}
	if !q.limited || len(q.requests) != len(q.limits) {
		return corev1.PodQOSBurstable
	}
	for name, request := range q.requests {
		if limit, ok := q.limits[name]; !ok || limit.Cmp(request) != 0 {
			return corev1.PodQOSBurstable
		}
	}
	return corev1.PodQOSGuaranteed
}
