package deployment

import (
	"fmt"
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of the condition Progressing.
const (
	reasonCreated   = "NewReplicaSetCreated"
	reasonFound     = "FoundNewReplicaSet"
	reasonUpdated   = "ReplicaSetUpdated"
	reasonAvailable = "NewReplicaSetAvailable"
	reasonTimedOut  = "ProgressDeadlineExceeded"
	reasonFailed    = "ReplicaSetCreateError"
	reasonPaused    = "DeploymentPaused"
	reasonResumed   = "DeploymentResumed"
)

// deadline is how long a rollout may take from one step to the next; ok is false where
// nobody minds.
func deadline(d *appsv1.Deployment) (after time.Duration, ok bool) {
	s := d.Spec.ProgressDeadlineSeconds
	if s == nil || *s == math.MaxInt32 {
		return 0, false
	}
	return time.Duration(*s) * time.Second, true
}

func find(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

func remove(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

// set puts a condition into a status, last. One that says the same with the same reason
// stays as it is.
func set(s *appsv1.DeploymentStatus, c appsv1.DeploymentCondition) {
	if now := find(s, c.Type); now != nil {
		if now.Status == c.Status && now.Reason == c.Reason {
			return
		}
		if now.Status == c.Status {
			c.LastTransitionTime = now.LastTransitionTime
		}
	}
	remove(s, c.Type)
	s.Conditions = append(s.Conditions, c)
}

func condition(t appsv1.DeploymentConditionType, is corev1.ConditionStatus, reason, message string, now time.Time) appsv1.DeploymentCondition {
	at := metav1.NewTime(now)
	return appsv1.DeploymentCondition{Type: t, Status: is, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at}
}

// progressing puts what is said of the progress into the deployment's status.
func (r *rollout) progressing(is corev1.ConditionStatus, reason, message string, now time.Time) {
	set(&r.deployment.Status, condition(appsv1.DeploymentProgressing, is, reason, message, now))
}

// pausing says that a deployment was paused or resumed, so that the time does not count
// in which it was not to progress.
func (r *rollout) pausing(now time.Time) {
	if _, ok := deadline(r.deployment); !ok {
		return
	}
	c := find(&r.deployment.Status, appsv1.DeploymentProgressing)
	if c != nil && c.Reason == reasonTimedOut {
		return
	}
	said := c != nil && c.Reason == reasonPaused
	switch {
	case r.deployment.Spec.Paused && !said:
		r.progressing(corev1.ConditionUnknown, reasonPaused, "Deployment is paused", now)
	case !r.deployment.Spec.Paused && said:
		r.progressing(corev1.ConditionUnknown, reasonResumed, "Deployment is resumed", now)
	}
}

// counted is what a status says of pods and of their availability.
func (r *rollout) counted(now time.Time) appsv1.DeploymentStatus {
	d, all := r.deployment, r.all()
	s := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, CollisionCount: d.Status.CollisionCount, Conditions: slices.Clone(d.Status.Conditions),
		AvailableReplicas: int32(available(all)), TerminatingReplicas: terminating(all),
	}
	for _, set := range all {
		s.Replicas += set.Status.Replicas
		s.ReadyReplicas += set.Status.ReadyReplicas
	}
	if r.current != nil {
		s.UpdatedReplicas = r.current.Status.Replicas
	}
	s.UnavailableReplicas = int32(min(max(total(all)-available(all), 0), math.MaxInt32))
	c := condition(appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now)
	if available(all) >= r.least() {
		c = condition(appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
	}
	set(&s, c)
	return s
}

// terminating is how many pods end; nil while a set has not said how many of its do.
func terminating(sets []*appsv1.ReplicaSet) *int32 {
	n := int32(0)
	for _, s := range sets {
		switch t := s.Status.TerminatingReplicas; {
		case t != nil:
			n += *t
		case s.Status.ObservedGeneration > 0:
			return nil
		}
	}
	return &n
}

// status is what a deployment says while it is rolled out.
func (r *rollout) status(now time.Time) appsv1.DeploymentStatus {
	s := r.counted(now)
	after, minds := deadline(r.deployment)
	if !minds {
		remove(&s, appsv1.DeploymentProgressing)
	} else if c := find(&r.deployment.Status, appsv1.DeploymentProgressing); c == nil || c.Reason != reasonAvailable || s.Replicas != s.UpdatedReplicas {
		r.progress(&s, after, now)
	}
	if c := r.failure(); c != nil {
		set(&s, *c)
	} else {
		remove(&s, appsv1.DeploymentReplicaFailure)
	}
	return s
}

// progress says in a status how the rollout gets on.
func (r *rollout) progress(s *appsv1.DeploymentStatus, after time.Duration, now time.Time) {
	name := fmt.Sprintf("Deployment %q", r.deployment.Name)
	if r.current != nil {
		name = fmt.Sprintf("ReplicaSet %q", r.current.Name)
	}
	say := func(is corev1.ConditionStatus, reason, what string) appsv1.DeploymentCondition {
		return condition(appsv1.DeploymentProgressing, is, reason, name+what, now)
	}
	c := find(&r.deployment.Status, appsv1.DeploymentProgressing)
	switch {
	case r.complete(s):
		set(s, say(corev1.ConditionTrue, reasonAvailable, " has successfully progressed."))
	case r.gotOn(s):
		said := say(corev1.ConditionTrue, reasonUpdated, " is progressing.")
		if c != nil && c.Status == corev1.ConditionTrue {
			said.LastTransitionTime = c.LastTransitionTime
		}
		remove(s, appsv1.DeploymentProgressing) // the same is said with each step, at another time
		set(s, said)
	case timedOut(c, after, now):
		set(s, say(corev1.ConditionFalse, reasonTimedOut, " has timed out progressing."))
	}
}

// complete tells whether a status says that all pods are of the current template and
// available.
func (r *rollout) complete(s *appsv1.DeploymentStatus) bool {
	want := int32(r.want())
	return s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want && s.ObservedGeneration >= r.deployment.Generation
}

// gotOn tells whether a status has more pods that are as they should be, or fewer that
// are not, than the one before.
func (r *rollout) gotOn(s *appsv1.DeploymentStatus) bool {
	before := &r.deployment.Status
	return s.UpdatedReplicas > before.UpdatedReplicas || s.Replicas-s.UpdatedReplicas < before.Replicas-before.UpdatedReplicas ||
		s.ReadyReplicas > before.ReadyReplicas || s.AvailableReplicas > before.AvailableReplicas
}

func timedOut(c *appsv1.DeploymentCondition, after time.Duration, now time.Time) bool {
	switch {
	case c == nil || c.Reason == reasonAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	}
	return c.LastUpdateTime.Add(after).Before(now)
}

// nextCheck is when it is to be looked at again whether a rollout gets on, if nothing
// happens; 0 for never.
func (r *rollout) nextCheck(now time.Time) time.Duration {
	d := r.deployment
	after, minds := deadline(d)
	c := find(&d.Status, appsv1.DeploymentProgressing)
	if !minds || c == nil || d.Spec.Paused || r.complete(&d.Status) || c.Reason == reasonTimedOut || c.Reason == reasonAvailable {
		return 0
	}
	return max(c.LastUpdateTime.Add(after).Sub(now), 0) + time.Second
}

// failure is what the current set, or else another one, says that it could not do.
func (r *rollout) failure() *appsv1.DeploymentCondition {
	sets := r.old
	if r.current != nil {
		sets = append([]*appsv1.ReplicaSet{r.current}, r.old...)
	}
	for _, s := range sets {
		for _, c := range s.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				return &appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: c.Status, Reason: c.Reason, Message: c.Message,
					LastUpdateTime: c.LastTransitionTime, LastTransitionTime: c.LastTransitionTime,
				}
			}
		}
	}
	return nil
}
