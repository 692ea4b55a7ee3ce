package deployment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// keep has the current set, where there is one, say what the deployment says, and the
// deployment which revision it is at.
func (c *Controller) keep(ctx context.Context, r *rollout) error {
	s := r.current
	if s == nil {
		return nil
	}
	annotations := r.annotated(s)
	if !maps.Equal(annotations, s.Annotations) || s.Spec.MinReadySeconds != r.deployment.Spec.MinReadySeconds {
		after := s.DeepCopy()
		after.Annotations, after.Spec.MinReadySeconds = annotations, r.deployment.Spec.MinReadySeconds
		if err := c.update(ctx, r, after); err != nil {
			return err
		}
	}
	r.sayRevision(r.current.Annotations[revisionAnnotation])
	if _, minds := deadline(r.deployment); minds && find(&r.deployment.Status, appsv1.DeploymentProgressing) == nil {
		r.progressing(corev1.ConditionTrue, reasonFound, fmt.Sprintf("Found new replica set %q", s.Name), c.env.Wall.Now())
	}
	return nil
}

// errLater says that a set is made later, or never: its name is taken, or its namespace
// ends.
var errLater = errors.New("the ReplicaSet cannot be made now")

// create makes the current set.
func (c *Controller) create(ctx context.Context, r *rollout) error {
	d, s := r.deployment, r.made()
	stored, err := c.env.Client.AppsV1().ReplicaSets(d.Namespace).Create(ctx, s, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return c.collided(ctx, r, s.Name)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errLater
	case err != nil:
		message := fmt.Sprintf("Failed to create new replica set %q: %v", s.Name, err)
		c.loop.Events().Event(d, corev1.EventTypeWarning, reasonFailed, message)
		if _, minds := deadline(d); minds {
			r.progressing(corev1.ConditionFalse, reasonFailed, message, c.env.Wall.Now())
		}
		return fmt.Errorf("creating ReplicaSet %s/%s: %w", s.Namespace, s.Name, err)
	}
	c.written.Wrote(d.UID, setsKind, stored)
	r.current = stored
	if n := size(stored); n > 0 {
		c.loop.Events().Eventf(d, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", stored.Name, n)
	}
	r.sayRevision(strconv.FormatInt(r.next(), 10))
	if _, minds := deadline(d); minds {
		r.progressing(corev1.ConditionTrue, reasonCreated, fmt.Sprintf("Created new replica set %q", stored.Name), c.env.Wall.Now())
	}
	return nil
}

// collided looks at the set that has the name already. Where it is not the one that was
// to be made, the next gets another name: that counts collisions, and the deployment's
// status says how many there were.
func (c *Controller) collided(ctx context.Context, r *rollout, name string) error {
	d := r.deployment
	there, err := c.env.Client.AppsV1().ReplicaSets(d.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("looking at ReplicaSet %s/%s, which is there already: %w", d.Namespace, name, err)
	}
	if owner := metav1.GetControllerOf(there); owner != nil && owner.UID == d.UID && sameTemplate(&there.Spec.Template, &d.Spec.Template) {
		r.current = there
		r.sayRevision(strconv.FormatInt(r.next(), 10))
		return nil
	}
	d.Status.CollisionCount = ptr.To(ptr.Deref(d.Status.CollisionCount, 0) + 1)
	return errLater
}

// resize gives sets their numbers of pods, and tells them how many are wanted. It returns
// whether one has got another number.
func (c *Controller) resize(ctx context.Context, r *rollout, steps []scaling) (changed bool, err error) {
	for _, step := range steps {
		before, told := size(step.set), r.told(step.set.Annotations)
		if before == step.to && maps.Equal(told, step.set.Annotations) {
			continue
		}
		after := step.set.DeepCopy()
		after.Spec.Replicas, after.Annotations = ptr.To(int32(step.to)), told
		if err := c.update(ctx, r, after); err != nil {
			return changed, err
		}
		if before == step.to {
			continue
		}
		changed = true
		direction := "down"
		if step.to > before {
			direction = "up"
		}
		c.loop.Events().Eventf(r.deployment, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", direction, after.Name, before, step.to)
	}
	return changed, nil
}

func (c *Controller) update(ctx context.Context, r *rollout, after *appsv1.ReplicaSet) error {
	stored, err := c.env.Client.AppsV1().ReplicaSets(after.Namespace).Update(ctx, after, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("updating ReplicaSet %s/%s: %w", after.Namespace, after.Name, err)
	}
	c.written.Wrote(r.deployment.UID, setsKind, stored)
	r.replace(stored)
	return nil
}

// forget deletes the old sets that the history has no room for.
func (c *Controller) forget(ctx context.Context, r *rollout) error {
	for _, s := range r.forgotten() {
		err := c.env.Client.AppsV1().ReplicaSets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting ReplicaSet %s/%s: %w", s.Namespace, s.Name, err)
		}
		c.written.Deleted(r.deployment.UID, setsKind, s)
	}
	return nil
}
