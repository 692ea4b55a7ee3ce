// Package disruption keeps count of how many pods of each PodDisruptionBudget may be
// disrupted, and takes back what pods were told of disruptions that did not come.
//
// What is counted is decided in reconcile.go, how many pods there should be is asked of
// their controllers (scale.go). Evictions that keep to budgets are served by
// internal/registry/core/pod; whom the scheduler makes pods give way by its own lights is
// internal/controller/scheduler's.
package disruption

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's, upstream's for its service account; its events come from
// source.
const (
	Name   = "disruption-controller"
	source = "controllermanager"
)

// Controller keeps budgets up to date, on wall time.
type Controller struct {
	env     env.Env
	loop    *run.Loop
	budgets *queue.Queue // budgets, by namespace and name
	told    *queue.Queue // pods, by namespace and name
	pods    corelisters.PodLister
	lister  policylisters.PodDisruptionBudgetLister
	count   counter
	write   run.Commit[*policyv1.PodDisruptionBudget]
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	pods, budgets := e.Informers.Core().V1().Pods(), e.Informers.Policy().V1().PodDisruptionBudgets()
	from := &scales{client: e.Client, wall: e.Wall}
	c := &Controller{
		env: e, loop: run.New(e, "pods and their budgets"), pods: pods.Lister(), lister: budgets.Lister(),
		count: counter{scaleOf: from.of},
	}
	c.write = run.Commits(e, func(ctx context.Context, b *policyv1.PodDisruptionBudget, o metav1.UpdateOptions) (*policyv1.PodDisruptionBudget, error) {
		return e.Client.PolicyV1().PodDisruptionBudgets(b.Namespace).UpdateStatus(ctx, b, o)
	})
	c.loop.RecordAs(source)
	c.budgets = c.loop.Queue(1, c.sync)
	c.told = c.loop.Queue(1, c.forget)
	c.loop.Watch(budgets.Informer(), run.Present(c.budgets.AddObject))
	c.loop.Watch(pods.Informer(), cache.ResourceEventHandlerFuncs{AddFunc: c.podChanged, UpdateFunc: c.podUpdated, DeleteFunc: c.podGone})
	return c
}

// Run keeps budgets until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// podUpdated looks at the budget that a pod has left, too.
func (c *Controller) podUpdated(old, obj any) {
	if before, ok := old.(*corev1.Pod); ok {
		c.countAgain(before)
	}
	c.podChanged(obj)
}

func (c *Controller) podChanged(obj any) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	c.countAgain(p)
	c.told.AddObject(p) // which looks once all caches are filled, as this may come before
	if wait, ok := forgotten(p, c.env.Wall.Now()); ok {
		c.told.AddAfter(cache.MetaObjectToName(p).String(), wait)
	}
}

func (c *Controller) podGone(obj any) {
	if p, ok := run.Last[*corev1.Pod](obj); ok {
		c.countAgain(p)
	}
}

// countAgain queues the budgets of a pod.
func (c *Controller) countAgain(p *corev1.Pod) {
	all, err := c.lister.GetPodPodDisruptionBudgets(p)
	if err != nil {
		return // it has none
	}
	for _, b := range all {
		c.budgets.AddObject(b)
	}
}

func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	b, err := c.lister.PodDisruptionBudgets(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	told, recheck, err := c.reconcile(ctx, b)
	if err != nil {
		c.env.Log.WarnContext(ctx, "pods of a budget cannot be counted", "budget", key, "error", err)
		told = failed(b, err)
	}
	if _, err := c.write(ctx, b, told); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing the status: %w", err)
	}
	if recheck > 0 {
		c.budgets.AddAfter(key, recheck)
	}
	return nil
}

// reconcile counts the pods of a budget. It returns the budget with that, and when to count
// again, 0 if only changes are a reason to.
func (c *Controller) reconcile(ctx context.Context, b *policyv1.PodDisruptionBudget) (told *policyv1.PodDisruptionBudget, recheck time.Duration, err error) {
	pods, err := c.of(b)
	if err != nil {
		c.loop.Events().Eventf(b, corev1.EventTypeWarning, "NoPods", "Failed to get pods: %v", err)
		return nil, 0, err
	}
	if len(pods) == 0 {
		c.loop.Events().Event(b, corev1.EventTypeNormal, "NoPods", "No matching pods found")
	}
	n, err := c.count.count(ctx, b, pods)
	if err != nil {
		c.loop.Events().Eventf(b, corev1.EventTypeWarning, "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %v", err)
		return nil, 0, err
	}
	if len(n.unmanaged) > 0 {
		c.loop.Events().Eventf(b, corev1.EventTypeWarning, "UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: %v) were found to be unmanaged. "+
			"As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.", b.Spec.Selector)
	}
	now := c.env.Wall.Now()
	ending, until, late := disrupted(b, pods, now)
	for _, p := range late {
		c.loop.Events().Eventf(p, corev1.EventTypeWarning, "NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", b.Namespace, b.Name)
	}
	if !until.IsZero() {
		recheck = until.Sub(now) + time.Second
	}
	return report(b, n, healthy(pods, ending, now), ending), recheck, nil
}

// of returns the pods of a budget.
func (c *Controller) of(b *policyv1.PodDisruptionBudget) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return nil, err
	}
	return c.pods.Pods(b.Namespace).List(selector)
}

// forget takes back what a pod was told of a disruption that nobody made. It tells pods
// that have several budgets, too, which allow no evictions.
func (c *Controller) forget(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	p, err := c.pods.Pods(namespace).Get(name)
	if err != nil {
		return nil
	}
	if all, err := c.lister.GetPodPodDisruptionBudgets(p); err == nil && len(all) > 1 {
		c.loop.Events().Eventf(p, corev1.EventTypeWarning, "MultiplePodDisruptionBudgets", "Pod %q/%q matches multiple PodDisruptionBudgets.  Chose %q arbitrarily.", p.Namespace, p.Name, all[0].Name)
	}
	now := c.env.Wall.Now()
	wait, ok := forgotten(p, now)
	switch {
	case !ok:
		return nil
	case wait > 0:
		c.told.AddAfter(key, wait)
		return nil
	}
	err = run.PatchPodStatus(ctx, c.env, p, map[string]any{"conditions": []any{map[string]any{
		"type": corev1.DisruptionTarget, "status": corev1.ConditionFalse, "reason": nil, "message": nil, "lastTransitionTime": metav1.NewTime(now),
	}}})
	if err != nil && !run.Overtaken(err) {
		return fmt.Errorf("taking back a disruption: %w", err)
	}
	return nil
}
