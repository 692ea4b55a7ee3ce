package daemonset

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	set, err := c.sets.DaemonSets(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.written.Unseen(set.UID); err != nil {
		c.queue.AddAfter(key, unseen)
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || set.Spec.Selector == nil || selector.Empty() || !selector.Matches(labels.Set(set.Spec.Template.Labels)) {
		return nil // refused when it was written; its pods would not be its own
	}
	if set.DeletionTimestamp != nil {
		return nil
	}
	err = c.reconcile(ctx, key, set, selector)
	if run.Overtaken(err) {
		c.queue.AddAfter(key, unseen)
		return nil
	}
	return err
}

// reconcile does what is to be done for a set now, and tells its status.
func (c *Controller) reconcile(ctx context.Context, key string, set *appsv1.DaemonSet, selector labels.Selector) error {
	pods, err := c.claimPods(ctx, set, selector)
	if err != nil {
		return err
	}
	revisions, err := c.claimRevisions(ctx, set, selector)
	if err != nil {
		return err
	}
	t, err := c.templates(ctx, set, pods, revisions)
	if err != nil {
		return err
	}
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	v := view{set: set, nodes: nodes, pods: byNode(pods), hash: t.hash(), now: c.env.Wall.Now(), pause: c.pause(set)}
	p := v.decide()
	if p.wait > 0 {
		c.lookAfter(key, p.wait)
	}
	err = c.do(ctx, set, p, t.hash())
	status, again := v.status(t.collisions)
	if again > 0 {
		c.queue.AddAfter(key, again)
	}
	return errors.Join(err, c.tell(ctx, set, status), c.forget(ctx, set, pods, t))
}

// lookAfter looks at a set when d has passed on the API's clock. A set waits once.
func (c *Controller) lookAfter(key string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.waits[key]; before != nil {
		before.Stop()
	}
	c.waits[key] = c.clock.AfterFunc(d, func() {
		c.mu.Lock()
		delete(c.waits, key)
		c.mu.Unlock()
		c.queue.Add(key)
	})
}

// pause returns how long a pod that has failed on a node stays there.
func (c *Controller) pause(set *appsv1.DaemonSet) func(string) time.Duration {
	return func(node string) time.Duration {
		key := failureKey(set, node)
		if !c.failures.IsInBackOffSinceUpdate(key, c.clock.Now()) {
			return 0
		}
		return c.failures.Get(key)
	}
}

func (c *Controller) do(ctx context.Context, set *appsv1.DaemonSet, p plan, hash string) error {
	for _, pod := range p.ended {
		c.ended(set, pod)
	}
	_, made := workload.SlowStart(ctx, len(p.make), func(ctx context.Context, i int) error {
		_, err := c.pods.Create(ctx, set, newPod(set, p.make[i], hash))
		if err != nil {
			return fmt.Errorf("creating a pod for node %s: %w", p.make[i], err)
		}
		return nil
	})
	removed := workload.Together(len(p.remove), func(i int) error { return c.pods.Delete(ctx, set, p.remove[i]) })
	return errors.Join(made, removed)
}

// ended tells of a pod that has ended, which is to be removed.
func (c *Controller) ended(set *appsv1.DaemonSet, pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodSucceeded {
		c.loop.Events().Eventf(set, corev1.EventTypeNormal, "SucceededDaemonPod", "Found succeeded daemon pod %s/%s on node %s, will try to delete it", pod.Namespace, pod.Name, nodeOf(pod))
		return
	}
	c.failures.Next(failureKey(set, nodeOf(pod)), c.clock.Now())
	c.loop.Events().Eventf(set, corev1.EventTypeWarning, "FailedDaemonPod", "Found failed daemon pod %s/%s on node %s, will try to kill it", pod.Namespace, pod.Name, nodeOf(pod))
}

// tell writes the status.
func (c *Controller) tell(ctx context.Context, set *appsv1.DaemonSet, status appsv1.DaemonSetStatus) error {
	after := set.DeepCopy()
	after.Status = status
	stored, err := c.commit(ctx, set, after)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("writing the status: %w", err)
	case stored.ResourceVersion != set.ResourceVersion:
		c.written.Wrote(set.UID, setsKind, stored)
	}
	return nil
}

func (c *Controller) claimPods(ctx context.Context, set *appsv1.DaemonSet, selector labels.Selector) ([]*corev1.Pod, error) {
	claims := workload.Claims[*corev1.Pod]{
		Parent: set, Kind: kind, Selector: selector, Live: c.live(set),
		Patch: workload.Patches(c.env, c.written, set.UID),
	}
	return claims.Claim(ctx, c.podsOf.Candidates(set))
}

func (c *Controller) claimRevisions(ctx context.Context, set *appsv1.DaemonSet, selector labels.Selector) ([]*appsv1.ControllerRevision, error) {
	claims := workload.Claims[*appsv1.ControllerRevision]{Parent: set, Kind: kind, Selector: selector, Live: c.live(set), Patch: c.history.Patch}
	return claims.Claim(ctx, c.revisions.Candidates(set))
}

// live reads a set from the server.
func (c *Controller) live(set *appsv1.DaemonSet) func(context.Context) (metav1.Object, error) {
	return func(ctx context.Context) (metav1.Object, error) {
		return c.env.Client.AppsV1().DaemonSets(set.Namespace).Get(ctx, set.Name, metav1.GetOptions{})
	}
}
