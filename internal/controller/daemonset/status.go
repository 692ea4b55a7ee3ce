package daemonset

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"laterna.dev/laterna/internal/controller/workload"
)

// status counts nodes. Of several pods on a node the oldest speaks for it. again is when
// the next pod that is ready will be available; 0 is never.
func (v view) status(collisions *int32) (s appsv1.DaemonSetStatus, again time.Duration) {
	s = appsv1.DaemonSetStatus{ObservedGeneration: v.set.Generation, CollisionCount: collisions, Conditions: v.set.Status.Conditions}
	placement := placementOf(v.set)
	for _, node := range v.nodes {
		run, _ := placement.of(node)
		pods := v.pods[node.Name]
		switch {
		case !run && len(pods) > 0:
			s.NumberMisscheduled++
			continue
		case !run:
			continue
		}
		s.DesiredNumberScheduled++
		if len(pods) == 0 {
			continue
		}
		s.CurrentNumberScheduled++
		pod := pods[0]
		if _, ready := workload.Ready(pod); ready {
			s.NumberReady++
		}
		left, available := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now)
		if available {
			s.NumberAvailable++
		}
		if v.isNew(pod) {
			s.UpdatedNumberScheduled++
		}
		for _, pod := range pods[1:] {
			if l, _ := workload.Available(pod, v.set.Spec.MinReadySeconds, v.now); l > 0 && (left == 0 || l < left) {
				left = l
			}
		}
		if left > 0 && (again == 0 || left < again) {
			again = left
		}
	}
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	return s, again
}
