package deployment

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// Name is the controller's, upstream's for it.
const Name = "deployment-controller"

// workers is how many deployments are worked on at a time.
const workers = 5

// unseen is how long a deployment waits at most for the caches to show what was written
// for it.
const unseen = 100 * time.Millisecond

// What Written knows kinds by.
const (
	setsKind        = "sets"
	deploymentsKind = "deployments"
)

var deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")

// Controller rolls deployments out. Deadlines pass on wall time, in which it is noted when
// a rollout has got on.
type Controller struct {
	env         env.Env
	loop        *run.Loop
	queue       *queue.Queue // keys of deployments
	deployments cache.Indexer
	replicaSets cache.Indexer
	sets        workload.ByController[*appsv1.ReplicaSet]
	pods        workload.ByController[*corev1.Pod]
	written     *workload.Written
	report      run.Commit[*appsv1.Deployment]
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	apps := e.Informers.Apps().V1()
	deployments, sets, pods := apps.Deployments().Informer(), apps.ReplicaSets().Informer(), e.Informers.Core().V1().Pods().Informer()
	c := &Controller{env: e, loop: run.New(e, "deployments"), deployments: deployments.GetIndexer(), replicaSets: sets.GetIndexer()}
	c.queue = c.loop.Queue(workers, c.sync)
	var err error
	if c.sets, err = workload.Index[*appsv1.ReplicaSet](sets); err != nil {
		c.loop.Fail(err)
		return c
	}
	if c.pods, err = workload.Index[*corev1.Pod](pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.written = workload.NewWritten(map[string]workload.Cache{setsKind: sets.GetIndexer(), deploymentsKind: c.deployments})
	c.report = run.Commits(e, func(ctx context.Context, d *appsv1.Deployment, o metav1.UpdateOptions) (*appsv1.Deployment, error) {
		return e.Client.AppsV1().Deployments(d.Namespace).UpdateStatus(ctx, d, o)
	})
	c.loop.RecordAs(Name)
	c.loop.Watch(deployments, c.written.Parents(c.queue.AddObject))
	owners := workload.Owners[*appsv1.Deployment]{
		Kind: deploymentKind.Kind, Parents: c.deployments, Look: c.queue.Add,
		Selector: func(d *appsv1.Deployment) *metav1.LabelSelector { return d.Spec.Selector },
	}
	c.loop.Watch(sets, owners.Handler())
	c.loop.Watch(pods, cache.ResourceEventHandlerFuncs{UpdateFunc: c.podChanged, DeleteFunc: c.podEnded})
	return c
}

// Run rolls deployments out until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// get returns a deployment of the cache, nil where it is gone. It is read only.
func (c *Controller) get(key string) *appsv1.Deployment {
	obj, _, err := c.deployments.GetByKey(key)
	d, ok := obj.(*appsv1.Deployment)
	if err != nil || !ok {
		return nil
	}
	return d
}

func (c *Controller) claim(ctx context.Context, d *appsv1.Deployment, selector labels.Selector) ([]*appsv1.ReplicaSet, error) {
	claims := workload.Claims[*appsv1.ReplicaSet]{
		Parent: d, Kind: deploymentKind, Selector: selector,
		Live: func(ctx context.Context) (metav1.Object, error) {
			return c.env.Client.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		},
		Patch: func(ctx context.Context, s *appsv1.ReplicaSet, patch []byte) error {
			after, err := c.env.Client.AppsV1().ReplicaSets(s.Namespace).Patch(ctx, s.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			if err == nil {
				c.written.Wrote(d.UID, setsKind, after)
			}
			return err
		},
	}
	return claims.Claim(ctx, c.sets.Candidates(d))
}

// ownerOf returns the deployment whose a set is, nil where it is none's.
func (c *Controller) ownerOf(s *appsv1.ReplicaSet) *appsv1.Deployment {
	owner := metav1.GetControllerOfNoCopy(s)
	if owner == nil || owner.Kind != deploymentKind.Kind {
		return nil
	}
	d := c.get(s.Namespace + "/" + owner.Name)
	if d == nil || d.UID != owner.UID {
		return nil
	}
	return d
}

// podChanged is for pods that end: a set does not count those that are being deleted.
func (c *Controller) podChanged(before, now any) {
	was, ok := before.(*corev1.Pod)
	is, okToo := now.(*corev1.Pod)
	if ok && okToo && workload.Terminal(is) && !workload.Terminal(was) {
		c.podEnded(is)
	}
}

// podEnded wakes a deployment that may wait for the end of its old pods.
func (c *Controller) podEnded(obj any) {
	p, ok := run.Last[*corev1.Pod](obj)
	if !ok {
		return
	}
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil || owner.Kind != "ReplicaSet" {
		return
	}
	found, _, err := c.replicaSets.GetByKey(p.Namespace + "/" + owner.Name)
	s, ok := found.(*appsv1.ReplicaSet)
	if err != nil || !ok || s.UID != owner.UID {
		return
	}
	if d := c.ownerOf(s); d != nil && d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		c.queue.AddObject(d)
	}
}
