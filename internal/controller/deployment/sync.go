package deployment

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
)

// sync brings one deployment on by one step. What its sets do then wakes it for the next.
func (c *Controller) sync(ctx context.Context, key string) error {
	d := c.get(key)
	if d == nil {
		return nil
	}
	if err := c.written.Unseen(d.UID); err != nil {
		c.queue.AddAfter(key, unseen) // what it waits for wakes it, too
		return nil
	}
	defer func() {
		if now := c.get(key); now == nil || now.UID != d.UID {
			c.written.Forget(d.UID)
		}
	}()
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil // not in the store
	}
	if selector.Empty() {
		c.loop.Events().Event(d, corev1.EventTypeWarning, "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.")
		seen := d.DeepCopy()
		seen.Status.ObservedGeneration = d.Generation
		_, err := c.report(ctx, d, seen)
		return err
	}
	sets, err := c.claim(ctx, d, selector)
	if err != nil {
		return err
	}
	r := newRollout(d.DeepCopy(), sets)
	if to, ok := rollbackTo(d); ok && d.DeletionTimestamp == nil && !d.Spec.Paused {
		return c.goBack(ctx, r, to)
	}
	failed := c.step(ctx, r)
	stored, err := c.report(ctx, d, r.deployment)
	switch {
	case err == nil && stored.ResourceVersion != d.ResourceVersion:
		c.written.Wrote(d.UID, deploymentsKind, stored)
	case run.Overtaken(err):
		err = nil // the watch brings what is new
	}
	if after := r.nextCheck(c.env.Wall.Now()); after > 0 {
		c.queue.AddAfter(key, after)
	}
	return errors.Join(failed, err)
}

// step does what is next, and leaves in the rollout what its deployment says then.
func (c *Controller) step(ctx context.Context, r *rollout) error {
	d := r.deployment
	if d.DeletionTimestamp == nil {
		r.pausing(c.env.Wall.Now())
	}
	if err := c.keep(ctx, r); err != nil {
		return err
	}
	switch {
	case d.DeletionTimestamp != nil:
		d.Status = r.counted(c.env.Wall.Now())
		return nil
	case d.Spec.Paused || r.rescaled() && len(r.scale()) > 0:
		return c.rescale(ctx, r)
	}
	err := c.replace(ctx, r)
	if errors.Is(err, errLater) {
		return nil
	} else if err != nil {
		return err
	}
	d.Status = r.status(c.env.Wall.Now())
	return nil
}

// rescale has the sets follow the number of pods that are wanted, with no rollout.
func (c *Controller) rescale(ctx context.Context, r *rollout) error {
	if _, err := c.resize(ctx, r, r.scale()); err != nil {
		return err
	}
	if _, back := rollbackTo(r.deployment); r.deployment.Spec.Paused && !back {
		if err := c.forget(ctx, r); err != nil {
			return err
		}
	}
	r.deployment.Status = r.counted(c.env.Wall.Now())
	return nil
}

// replace brings pods of the current template in the place of others.
func (c *Controller) replace(ctx context.Context, r *rollout) error {
	var done bool
	var err error
	switch r.deployment.Spec.Strategy.Type {
	case appsv1.RecreateDeploymentStrategyType:
		done, err = c.recreate(ctx, r)
	case appsv1.RollingUpdateDeploymentStrategyType:
		done, err = c.rolling(ctx, r)
	default:
		return fmt.Errorf("unexpected deployment strategy type: %s", r.deployment.Spec.Strategy.Type)
	}
	if err != nil || !done || !r.complete(&r.deployment.Status) {
		return err
	}
	return c.forget(ctx, r)
}

// rolling does the next step of a rolling update. done is true when there is none.
func (c *Controller) rolling(ctx context.Context, r *rollout) (done bool, err error) {
	if r.current == nil {
		if err := c.create(ctx, r); err != nil {
			return false, err
		}
	}
	changed, err := c.resize(ctx, r, r.roll())
	return !changed, err
}

// recreate does the next step of a replacement of all pods at once: none of the old runs
// when the first of the new is made.
func (c *Controller) recreate(ctx context.Context, r *rollout) (done bool, err error) {
	if down := none(r.old); len(down) > 0 {
		_, err := c.resize(ctx, r, down)
		return false, err
	}
	if r.oldRun(c.pods.Of) {
		return false, nil
	}
	if r.current == nil {
		if err := c.create(ctx, r); err != nil {
			return false, err
		}
	}
	_, err = c.resize(ctx, r, []scaling{{r.current, r.want()}})
	return err == nil, err
}

// goBack gives the deployment a former template. What it has now becomes a revision before,
// if it is none yet.
func (c *Controller) goBack(ctx context.Context, r *rollout, to int64) error {
	if err := c.keep(ctx, r); err != nil {
		return err
	}
	if r.current == nil {
		if err := c.create(ctx, r); err != nil && !errors.Is(err, errLater) {
			return err
		}
	}
	was := r.deployment.DeepCopy()
	done := r.rollback(to)
	stored, err := c.env.Client.AppsV1().Deployments(was.Namespace).Update(ctx, r.deployment, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("rolling back deployment %s/%s: %w", was.Namespace, was.Name, err)
	}
	c.written.Wrote(was.UID, deploymentsKind, stored)
	c.loop.Events().Event(was, done.kind, done.reason, done.message)
	return nil
}
