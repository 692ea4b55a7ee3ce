package deployment

import (
	"reflect"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// at is a condition that was written so long ago.
func at(t appsv1.DeploymentConditionType, is corev1.ConditionStatus, reason string, ago time.Duration) appsv1.DeploymentCondition {
	return condition(t, is, reason, "", now.Add(-ago))
}

func TestCounts(t *testing.T) {
	old, current := replicas("old", 2, 1), replicas("new", 3, 2)
	old.Status.TerminatingReplicas, old.Status.ObservedGeneration = new(int32(4)), 1
	d := wants(4, "1", "1")
	d.Status.CollisionCount = new(int32(2))
	s := newRollout(d, []*appsv1.ReplicaSet{old, current}).counted(now)
	c := s.Conditions
	s.Conditions = nil
	want := appsv1.DeploymentStatus{
		ObservedGeneration: 2, Replicas: 5, UpdatedReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, UnavailableReplicas: 2,
		TerminatingReplicas: new(int32(4)), CollisionCount: new(int32(2)),
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	if len(c) != 1 || c[0].Status != corev1.ConditionTrue || c[0].Reason != "MinimumReplicasAvailable" || c[0].Message != "Deployment has minimum availability." {
		t.Errorf("%+v", c)
	}
	current.Status.AvailableReplicas, current.Status.ObservedGeneration = 1, 1
	s = newRollout(d, []*appsv1.ReplicaSet{old, current}).counted(now)
	if c := s.Conditions[0]; c.Status != corev1.ConditionFalse || c.Reason != "MinimumReplicasUnavailable" || c.Message != "Deployment does not have minimum availability." || s.TerminatingReplicas != nil {
		t.Errorf("%+v", s)
	}
}

func TestProgress(t *testing.T) {
	const progressing = appsv1.DeploymentProgressing
	for name, tc := range map[string]struct {
		before []appsv1.DeploymentCondition
		was    appsv1.DeploymentStatus
		sets   []*appsv1.ReplicaSet
		change func(*appsv1.Deployment)
		// what is said then, and since when
		reason, message       string
		updated, transitioned time.Duration
		check                 time.Duration
	}{
		"complete": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonUpdated, time.Minute)}, sets: []*appsv1.ReplicaSet{replicas("new", 2, 2)},
			reason: reasonAvailable, message: `ReplicaSet "web-new" has successfully progressed.`, transitioned: time.Minute,
		},
		"a step": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonUpdated, time.Minute)}, was: appsv1.DeploymentStatus{Replicas: 1}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 1)},
			reason: reasonUpdated, message: `ReplicaSet "web-new" is progressing.`, transitioned: time.Minute, check: 601 * time.Second,
		},
		"no step": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonCreated, time.Minute)}, was: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 0)},
			reason: reasonCreated, updated: time.Minute, transitioned: time.Minute, check: 541 * time.Second,
		},
		"too long without": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonUpdated, 601*time.Second)}, was: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 0)},
			reason: reasonTimedOut, message: `ReplicaSet "web-new" has timed out progressing.`,
		},
		"no set in time": {
			before: []appsv1.DeploymentCondition{at(progressing, "False", reasonFailed, 601*time.Second)},
			reason: reasonTimedOut, message: `Deployment "web" has timed out progressing.`, transitioned: 601 * time.Second,
		},
		"too late, and then a step": {
			before: []appsv1.DeploymentCondition{at(progressing, "False", reasonTimedOut, time.Hour)}, was: appsv1.DeploymentStatus{Replicas: 1}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 0)},
			reason: reasonUpdated, message: `ReplicaSet "web-new" is progressing.`, check: 601 * time.Second,
		},
		"scaled when it was complete": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonAvailable, time.Hour)}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 0)},
			reason: reasonAvailable, updated: time.Hour, transitioned: time.Hour,
		},
		"nobody minds": {
			before: []appsv1.DeploymentCondition{at(progressing, "True", reasonUpdated, time.Hour)}, sets: []*appsv1.ReplicaSet{replicas("new", 1, 0)},
			change: func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = nil },
		},
	} {
		d := wants(2, "1", "0")
		d.Status = tc.was
		d.Status.Conditions = tc.before
		if tc.change != nil {
			tc.change(d)
		}
		r := newRollout(d, tc.sets)
		d.Status = r.status(now)
		c := find(&d.Status, progressing)
		if c == nil {
			if tc.reason != "" {
				t.Errorf("%s: nothing is said", name)
			}
			continue
		}
		if c.Reason != tc.reason || c.Message != tc.message || now.Sub(c.LastUpdateTime.Time) != tc.updated || now.Sub(c.LastTransitionTime.Time) != tc.transitioned {
			t.Errorf("%s: %+v", name, c)
		}
		if got := r.nextCheck(now); got != tc.check {
			t.Errorf("%s: looked at in %s, want %s", name, got, tc.check)
		}
	}
}

func TestPausing(t *testing.T) {
	const progressing = appsv1.DeploymentProgressing
	for name, tc := range map[string]struct {
		paused bool
		before string
		want   string
	}{
		"paused":                {true, reasonUpdated, reasonPaused},
		"paused from the start": {true, "", reasonPaused},
		"still paused":          {true, reasonPaused, reasonPaused},
		"resumed":               {false, reasonPaused, reasonResumed},
		"neither":               {false, reasonUpdated, reasonUpdated},
		"paused too late":       {true, reasonTimedOut, reasonTimedOut},
	} {
		d := wants(1, "1", "0")
		d.Spec.Paused = tc.paused
		if tc.before != "" {
			d.Status.Conditions = []appsv1.DeploymentCondition{at(progressing, "True", tc.before, time.Hour)}
		}
		newRollout(d, nil).pausing(now)
		if c := find(&d.Status, progressing); c == nil || c.Reason != tc.want {
			t.Errorf("%s: %+v", name, c)
		}
	}
	d := wants(1, "1", "0")
	d.Spec.Paused, d.Spec.ProgressDeadlineSeconds = true, nil
	newRollout(d, nil).pausing(now)
	if len(d.Status.Conditions) > 0 {
		t.Errorf("nobody minds: %+v", d.Status.Conditions)
	}
}

func TestFailureOfASetIsTheDeployments(t *testing.T) {
	failed := func(s *appsv1.ReplicaSet, message string) *appsv1.ReplicaSet {
		s.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: "True", Reason: "FailedCreate", Message: message, LastTransitionTime: metav1.NewTime(now)}}
		return s
	}
	d := wants(1, "1", "0")
	r := newRollout(d, []*appsv1.ReplicaSet{failed(replicas("old", 1, 1), "old"), failed(replicas("new", 1, 0), "new")})
	d.Status = r.status(now)
	if c := find(&d.Status, appsv1.DeploymentReplicaFailure); c == nil || c.Message != "new" || c.Reason != "FailedCreate" || c.Status != "True" {
		t.Errorf("%+v", c)
	}
	r.current.Status.Conditions = nil
	remove(&d.Status, appsv1.DeploymentReplicaFailure)
	if s := r.status(now); find(&s, appsv1.DeploymentReplicaFailure).Message != "old" {
		t.Errorf("%+v", s.Conditions)
	}
	d.Status = r.status(now)
	r.old[0].Status.Conditions = nil
	if s := r.status(now); slices.ContainsFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentReplicaFailure }) {
		t.Errorf("over, and still said: %+v", s.Conditions)
	}
}
