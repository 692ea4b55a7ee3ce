// Package statefulset makes the pods of StatefulSets, and their claims: each pod has a
// number, they come in order and go in the reverse one, and a change of the template comes
// to the last first.
//
// What is to be done next is decided in reconcile.go from the set and its pods alone, done
// in act.go, told in status.go. Who a pod is stands in identity.go, what it claims and when
// the claims go in claims.go. The history of templates is kept by
// internal/controller/workload/history; the rules of the kind are
// internal/registry/apps/statefulset's.
package statefulset

import (
	"context"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
	"laterna.dev/laterna/internal/controller/workload/history"
)

// Name is the controller's, upstream's for it.
const Name = "statefulset-controller"

const (
	// workers is how many sets are worked on at once.
	workers = 5
	// unseen is how long a set waits for the caches to see what was written for it.
	unseen = 20 * time.Millisecond
	// setsKind is what is remembered of written sets.
	setsKind = "statefulsets"
)

var kind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

// Controller keeps StatefulSets.
type Controller struct {
	env       env.Env
	loop      *run.Loop
	queue     *queue.Queue
	sets      appslisters.StatefulSetLister
	claims    corelisters.PersistentVolumeClaimLister
	podsOf    workload.ByController[*corev1.Pod]
	revisions workload.ByController[*appsv1.ControllerRevision]
	written   *workload.Written
	history   history.Keeper
	commit    run.Commit[*appsv1.StatefulSet]
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	apps, core := e.Informers.Apps().V1(), e.Informers.Core().V1()
	sets, revisions, pods := apps.StatefulSets().Informer(), apps.ControllerRevisions().Informer(), core.Pods().Informer()
	c := &Controller{
		env: e, loop: run.New(e, "stateful sets and their pods"),
		sets: apps.StatefulSets().Lister(), claims: core.PersistentVolumeClaims().Lister(),
		written: workload.NewWritten(map[string]workload.Cache{
			setsKind: sets.GetIndexer(), history.Kind: revisions.GetIndexer(), workload.PodsKind: pods.GetIndexer(),
		}),
	}
	c.history = history.Keeper{Env: e, Written: c.written}
	c.commit = run.Commits(e, func(ctx context.Context, after *appsv1.StatefulSet, o metav1.UpdateOptions) (*appsv1.StatefulSet, error) {
		return e.Client.AppsV1().StatefulSets(after.Namespace).UpdateStatus(ctx, after, o)
	})
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.RecordAs(Name)
	var err error
	if c.podsOf, err = workload.Index[*corev1.Pod](pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	if c.revisions, err = workload.Index[*appsv1.ControllerRevision](revisions); err != nil {
		c.loop.Fail(err)
		return c
	}
	owners := workload.Owners[*appsv1.StatefulSet]{
		Kind: kind.Kind, Parents: sets.GetIndexer(), Look: c.queue.Add,
		Selector: func(set *appsv1.StatefulSet) *metav1.LabelSelector { return set.Spec.Selector },
	}
	c.loop.Watch(sets, c.written.Parents(c.queue.AddObject))
	c.loop.Watch(pods, owners.Handler())
	c.loop.Watch(revisions, owners.ChangesHandler())
	// A claim that is gone lets its pod be made.
	c.loop.Watch(core.PersistentVolumeClaims().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.claimGone})
	return c
}

// claimGone looks at the sets that a claim was of by its name.
func (c *Controller) claimGone(obj any) {
	if claim, ok := run.Last[*corev1.PersistentVolumeClaim](obj); ok {
		sets, err := c.sets.StatefulSets(claim.Namespace).List(labels.Everything())
		if err != nil {
			return
		}
		for _, set := range sets {
			if slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(t corev1.PersistentVolumeClaim) bool {
				return strings.HasPrefix(claim.Name, t.Name+"-"+set.Name+"-")
			}) {
				c.queue.AddObject(set)
			}
		}
	}
}

// Run keeps sets until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	set, err := c.sets.StatefulSets(namespace).Get(name)
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
	revisions, err := c.claimRevisions(ctx, set, selector)
	if err != nil {
		return err
	}
	pods, err := c.claimPods(ctx, set, selector)
	if err != nil {
		return err
	}
	again, err := c.reconcile(ctx, set, pods, revisions)
	if again > 0 {
		c.queue.AddAfter(key, again)
	}
	if run.Overtaken(err) {
		c.queue.AddAfter(key, unseen)
		return nil
	}
	return err
}

// claimPods returns the set's pods: those of its labels whose names have a number.
func (c *Controller) claimPods(ctx context.Context, set *appsv1.StatefulSet, selector labels.Selector) ([]*corev1.Pod, error) {
	claims := workload.Claims[*corev1.Pod]{
		Parent: set, Kind: kind, Selector: selector, Live: c.live(set),
		Fits:  func(p *corev1.Pod) bool { _, ok := ordinalOf(set, p.Name); return ok },
		Patch: workload.Patches(c.env, c.written, set.UID),
	}
	return claims.Claim(ctx, c.podsOf.Candidates(set))
}

func (c *Controller) claimRevisions(ctx context.Context, set *appsv1.StatefulSet, selector labels.Selector) ([]*appsv1.ControllerRevision, error) {
	claims := workload.Claims[*appsv1.ControllerRevision]{Parent: set, Kind: kind, Selector: selector, Live: c.live(set), Patch: c.history.Patch}
	return claims.Claim(ctx, c.revisions.Candidates(set))
}

// live reads a set from the server.
func (c *Controller) live(set *appsv1.StatefulSet) func(context.Context) (metav1.Object, error) {
	return func(ctx context.Context) (metav1.Object, error) {
		return c.env.Client.AppsV1().StatefulSets(set.Namespace).Get(ctx, set.Name, metav1.GetOptions{})
	}
}
