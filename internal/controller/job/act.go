package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// width is how many pods are deleted, or let go, at a time.
const width = 32

// work looks at a job, does what follows, and writes down what became of it.
func (c *Controller) work(ctx context.Context, key string, j *batchv1.Job, pods []*corev1.Pod) error {
	memory := c.memory.get(j.UID)
	now := c.config.Clock.Now()
	ahead := now.Sub(c.config.Wall.Now())
	l := &look{
		job: j.DeepCopy(), pods: pods, now: now, before: memory.backoff,
		ended: func(p *corev1.Pod) time.Time { return memory.endOf(p, ahead) },
	}
	reason, message := "", ""
	if !isTrue(&j.Status, batchv1.JobSuccessCriteriaMet) && !isTrue(&j.Status, batchv1.JobFailureTarget) {
		reason, message = l.begin(&l.job.Status)
	}
	l.see()
	p := l.decide()
	d, failed := c.carryOut(ctx, l, p)
	a := l.account(d)
	stored, err := c.write(ctx, j, a.status)
	if apierrors.IsNotFound(err) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	memory.backoff = memory.backoff.with(a.succeeded, a.failed, l.ended)
	memory.keep(pods)
	if reason != "" {
		c.loop.Events().Event(j, corev1.EventTypeNormal, reason, message)
	}
	if d.end != nil && l.isTooMuch() && !isTrue(&j.Status, d.end.Type) {
		c.loop.Events().Event(j, corev1.EventTypeWarning, "TooManySucceededPods", "Too many succeeded pods running after completion count reached")
	}
	if err := c.settle(ctx, l, stored, a.release); err != nil {
		return errors.Join(failed, err)
	}
	if a.more || p.end != nil && d.end == nil && failed == nil {
		c.queue.Add(key)
	}
	if p.again > 0 {
		c.alarms.AddAfter(key, p.again)
	}
	return failed
}

// carryOut deletes and makes pods.
func (c *Controller) carryOut(ctx context.Context, l *look, p plan) (done, error) {
	var d done
	removed, ready, err := c.remove(ctx, l.job, p.remove, p.end == nil)
	d.removed, d.readyRemoved = removed, ready
	if p.end != nil && removed == len(l.active) {
		d.end = p.end
	}
	var created atomic.Int32
	_, failed := workload.SlowStart(ctx, len(p.create), func(ctx context.Context, i int) error {
		made, err := c.control.Create(ctx, l.job, p.create[i])
		if made != nil {
			created.Add(1)
		}
		return err
	})
	d.created = int(created.Load())
	if failed != nil {
		failed = fmt.Errorf("making pods: %w", failed)
	}
	return d, errors.Join(err, failed)
}

// remove deletes pods; release lets each go before, so that it is not counted.
func (c *Controller) remove(ctx context.Context, j *batchv1.Job, pods []*corev1.Pod, release bool) (removed, ready int, err error) {
	var gone, wereReady atomic.Int32
	err = each(pods, func(p *corev1.Pod) error {
		if release {
			if err := c.letGo(ctx, j.UID, p); err != nil {
				return err
			}
		}
		if err := c.control.Delete(ctx, j, p); err != nil {
			return err
		}
		gone.Add(1)
		if _, ok := workload.Ready(p); ok {
			wereReady.Add(1)
		}
		return nil
	})
	return int(gone.Load()), int(wereReady.Load()), err
}

// each calls do for every pod, for some at a time.
func each(pods []*corev1.Pod, do func(p *corev1.Pod) error) error {
	var errs []error
	for len(pods) > 0 {
		n := min(len(pods), width)
		errs = append(errs, workload.Together(n, func(i int) error { return do(pods[i]) }))
		pods = pods[n:]
	}
	return errors.Join(errs...)
}

// letGo takes the finalizer off a pod of a job, "" for one that has none.
func (c *Controller) letGo(ctx context.Context, job types.UID, p *corev1.Pod) error {
	if !isHeld(p) {
		return nil
	}
	written := c.written
	if job == "" {
		written = nil // nobody decides by it
	}
	err := workload.Patches(c.config.Env, written, job)(ctx, p, release(p.UID))
	if (run.Overtaken(err) || apierrors.IsInvalid(err)) && c.isGone(p, err) {
		if written != nil {
			written.Gone(job, workload.PodsKind, p)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("letting pod %s/%s go: %w", p.Namespace, p.Name, err)
	}
	return nil
}

// isGone tells of a pod that a write was refused for whether it is there no more, or is
// another by now. Of the latter the cache tells, in time: a refusal before is tried again.
func (c *Controller) isGone(p *corev1.Pod, refusal error) bool {
	if apierrors.IsNotFound(refusal) {
		return true
	}
	now, err := c.pods.Pods(p.Namespace).Get(p.Name)
	return err != nil || now.UID != p.UID
}

// release is the patch that lets a pod go.
func release(uid types.UID) []byte {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": uid, "$deleteFromPrimitiveList/finalizers": []string{batchv1.JobTrackingFinalizer},
	}})
	if err != nil {
		panic(err) // these have JSON
	}
	return patch
}

// write stores a status where it differs from that of the job as it was read.
func (c *Controller) write(ctx context.Context, j *batchv1.Job, s batchv1.JobStatus) (*batchv1.Job, error) {
	if equality.Semantic.DeepEqual(j.Status, s) {
		return j, nil
	}
	j = j.DeepCopy()
	j.Status = s
	stored, err := c.config.Client.BatchV1().Jobs(j.Namespace).UpdateStatus(ctx, j, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("writing the status of job %s/%s: %w", j.Namespace, j.Name, err)
	}
	c.written.Wrote(j.UID, jobsKind, stored)
	return stored, nil
}

// settle lets pods go that are written down, counts them, and ends the job where nothing
// is left.
func (c *Controller) settle(ctx context.Context, l *look, stored *batchv1.Job, pods []*corev1.Pod) error {
	held := sets.New[types.UID]()
	for _, p := range l.pods {
		if isHeld(p) {
			held.Insert(p.UID)
		}
	}
	var failed error
	if err := each(pods, func(p *corev1.Pod) error { return c.letGo(ctx, l.job.UID, p) }); err != nil {
		failed = err // none is counted by now; which are let go is seen at the next look
	} else {
		for _, p := range pods {
			held.Delete(p.UID)
		}
	}
	s := stored.Status.DeepCopy()
	if s.UncountedTerminatedPods != nil {
		settle(s, isIndexed(l.job), func(uid types.UID) bool { return held.Has(uid) })
	}
	over := l.finish(s)
	if _, err := c.write(ctx, stored, *s); err != nil && !apierrors.IsNotFound(err) {
		return errors.Join(failed, err)
	}
	switch {
	case over == nil:
	case over.Type == batchv1.JobComplete:
		c.loop.Events().Event(stored, corev1.EventTypeNormal, "Completed", "Job completed")
	default:
		c.loop.Events().Event(stored, corev1.EventTypeWarning, over.Reason, over.Message)
	}
	return failed
}

// letAllGo lets go what a job that is over still holds.
func (c *Controller) letAllGo(ctx context.Context, j *batchv1.Job) error {
	c.memory.forget(j.UID)
	return each(c.podsOf.Of(j.UID), func(p *corev1.Pod) error { return c.letGo(ctx, j.UID, p) })
}

// letOrphanGo lets go a pod that no job will count.
func (c *Controller) letOrphanGo(ctx context.Context, namespace, name string) error {
	p, err := c.pods.Pods(namespace).Get(name)
	if err != nil || !isHeld(p) {
		return nil
	}
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		if slices.ContainsFunc(c.owners.Selecting(p), isOurs) {
			return nil // they adopt it
		}
		return c.letGo(ctx, "", p)
	}
	if owner.Kind != kind.Kind {
		return nil
	}
	live, err := c.config.Client.BatchV1().Jobs(namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("looking for the job of pod %s/%s: %w", namespace, name, err)
	case err == nil && live.UID == owner.UID:
		return nil // it counts the pod, or whoever manages it does
	}
	return c.letGo(ctx, "", p)
}
