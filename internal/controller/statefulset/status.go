package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/workload"
)

// status is that of the set once some of its pods have been removed, which the cache does
// not show yet.
func (v view) status(removed []*corev1.Pod, collisions int32) appsv1.StatefulSetStatus {
	s := appsv1.StatefulSetStatus{
		ObservedGeneration: v.set.Generation,
		CurrentRevision:    v.current, UpdateRevision: v.update,
		CollisionCount: &collisions,
		Conditions:     v.set.Status.Conditions,
	}
	for _, pod := range v.pods {
		if pod.Status.Phase != "" {
			s.Replicas++
		}
		if ready(pod) {
			s.ReadyReplicas++
			if _, ok := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now); ok {
				s.AvailableReplicas++
			}
		}
		if pod.Status.Phase == "" || pod.DeletionTimestamp != nil || slices.Contains(removed, pod) {
			continue
		}
		if revisionOf(pod) == v.current {
			s.CurrentReplicas++
		}
		if revisionOf(pod) == v.update {
			s.UpdatedReplicas++
		}
	}
	wanted := replicasOf(v.set)
	if v.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType &&
		s.UpdatedReplicas == wanted && s.ReadyReplicas == wanted && s.Replicas == wanted {
		s.CurrentReplicas, s.CurrentRevision = s.UpdatedReplicas, s.UpdateRevision
	}
	return s
}
