package replicaset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/controller/workload"
)

// observed is what is known of a set.
type observed struct {
	active, terminating []*corev1.Pod
	// failure is why pods could not be made or deleted.
	failure error
}

// status is what a set reports.
func status(set *appsv1.ReplicaSet, o observed, now time.Time) appsv1.ReplicaSetStatus {
	s := appsv1.ReplicaSetStatus{
		Replicas: int32(len(o.active)), ObservedGeneration: set.Generation,
		Conditions: conditions(set, o, now),
	}
	if set.Kind != controllerKind.Kind {
		s.TerminatingReplicas = ptr.To(int32(len(o.terminating)))
	}
	like := labels.SelectorFromSet(set.Spec.Template.Labels)
	for _, p := range o.active {
		if like.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if ready(p) {
			s.ReadyReplicas++
		}
		if _, ok := workload.Available(p, set.Spec.MinReadySeconds, now); ok {
			s.AvailableReplicas++
		}
	}
	return s
}

// conditions tell of a failure as it was first met, until the set is brought on without
// one.
func conditions(set *appsv1.ReplicaSet, o observed, now time.Time) []appsv1.ReplicaSetCondition {
	failed := func(c appsv1.ReplicaSetCondition) bool { return c.Type == appsv1.ReplicaSetReplicaFailure }
	all := slices.Clone(set.Status.Conditions)
	if o.failure == nil {
		return slices.DeleteFunc(all, failed)
	}
	if slices.ContainsFunc(all, failed) {
		return all
	}
	reason := "FailedCreate"
	if len(o.active) > int(ptr.Deref(set.Spec.Replicas, 1)) {
		reason = "FailedDelete"
	}
	return append(all, appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now),
		Reason: reason, Message: o.failure.Error(),
	})
}

// first is the first of errors that were joined: they are likely to be the same.
func first(err error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) == 0 {
			return err
		}
		err = joined.Unwrap()[0]
	}
}
