package replicaset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/controller/workload"
)

// burst is how many pods of a set are made or deleted before its cache is looked at anew.
const burst = 500

// plan is what is to be done for a set.
type plan struct {
	create int
	remove []*corev1.Pod
}

// decide returns what brings a set, which has these active pods, to its number of pods.
// neighbours are the active pods of all sets of the same owner, by node.
func decide(set *appsv1.ReplicaSet, active []*corev1.Pod, neighbours func() map[string]int, now time.Time) plan {
	// A number of pods is below zero in no object of the store.
	want := max(int(ptr.Deref(set.Spec.Replicas, 1)), 0)
	switch {
	case set.DeletionTimestamp != nil || len(active) == want:
		return plan{}
	case len(active) < want:
		return plan{create: min(want-len(active), burst)}
	}
	remove := slices.Clone(active)
	if excess := min(len(active)-want, burst); excess < len(active) {
		rank(remove, neighbours(), now)
		remove = remove[:excess]
	}
	return plan{remove: remove}
}

// split sorts out which of a set's pods are active, and which end.
func split(pods []*corev1.Pod) (active, terminating []*corev1.Pod) {
	for _, p := range pods {
		switch {
		case workload.Active(p):
			active = append(active, p)
		case workload.Terminating(p):
			terminating = append(terminating, p)
		}
	}
	return active, terminating
}

// mine returns which pods are a set's already and match its selector.
func mine(set *appsv1.ReplicaSet, selector labels.Selector, pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool {
		return !owned(set, p) || !selector.Matches(labels.Set(p.Labels))
	})
}

// nextAvailable is when the first of the pods that are ready will have been so for long
// enough, from now; 0 when none is waiting for that.
func nextAvailable(set *appsv1.ReplicaSet, pods []*corev1.Pod, now time.Time) (next time.Duration) {
	for _, p := range pods {
		if left, ok := workload.Available(p, set.Spec.MinReadySeconds, now); !ok && left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}
