package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the schedulerName of the pods that this scheduler places, and the
// component that its events come from.
const Name = corev1.DefaultSchedulerName

// binders is how many bindings are written at a time.
const binders = 16

// User is whom the scheduler acts as.
const User = "system:kube-scheduler"

// Controller places pods.
type Controller struct {
	env     env.Env
	loop    *run.Loop
	waiting *queue.Queue // pods to decide about
	decided *queue.Queue // pods whose binding is to be written
	pods    corelisters.PodLister
	nodes   corelisters.NodeLister
	// namespaces are asked for their labels.
	namespaces corelisters.NamespaceLister
	budgets    policylisters.PodDisruptionBudgetLister
	ledger     *ledger

	mu sync.Mutex
	// unplaced are the pods that no node takes, and what they were told.
	unplaced map[string]verdict
	// chosen are the decisions whose binding is to be written.
	chosen map[string]decision
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	core := e.Informers.Core().V1()
	c := &Controller{
		env:   e,
		loop:  run.New(e, "pods and nodes to schedule"),
		pods:  core.Pods().Lister(),
		nodes: core.Nodes().Lister(),

		namespaces: core.Namespaces().Lister(),
		budgets:    e.Informers.Policy().V1().PodDisruptionBudgets().Lister(),

		ledger:   newLedger(),
		unplaced: map[string]verdict{},
		chosen:   map[string]decision{},
	}
	c.waiting = c.loop.Queue(1, c.decide)
	c.decided = c.loop.Queue(binders, c.bind)
	c.loop.RecordAs(Name)
	pods := run.Present(c.podSeen)
	pods.DeleteFunc = c.podGone
	c.loop.Watch(core.Pods().Informer(), pods)
	c.loop.Watch(core.Nodes().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.retryAll() },
		UpdateFunc: c.nodeChanged,
	})
	c.loop.Watch(core.Namespaces().Informer(), cache.ResourceEventHandlerFuncs{UpdateFunc: c.namespaceChanged})
	return c
}

// Run places pods until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) podSeen(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	freed, changed := c.ledger.seen(pod)
	switch {
	case schedulable(pod):
		c.waiting.AddObject(pod)
	case foreign(pod):
		c.waiting.AddAfter(pod.Namespace+"/"+pod.Name, patience)
	default:
		c.forget(pod)
	}
	switch {
	case freed:
		c.retryAll()
	case changed:
		c.retry(social)
	}
}

// budgetsOf returns the disruption budgets of a namespace.
func (c *Controller) budgetsOf(namespace string) []*policyv1.PodDisruptionBudget {
	all, err := c.budgets.PodDisruptionBudgets(namespace).List(labels.Everything())
	if err != nil {
		return nil // a cache has no errors
	}
	return all
}

// namespaceChanged tries again what depends on labels of namespaces.
func (c *Controller) namespaceChanged(before, after any) {
	old, ok := before.(*corev1.Namespace)
	n, also := after.(*corev1.Namespace)
	if !ok || !also || !maps.Equal(old.Labels, n.Labels) {
		c.retry(social)
	}
}

func (c *Controller) podGone(obj any) {
	pod, ok := run.Last[*corev1.Pod](obj)
	if !ok {
		return
	}
	c.forget(pod)
	if c.ledger.gone(pod.UID) {
		c.retryAll()
	}
}

func (c *Controller) forget(pod *corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unplaced, pod.Namespace+"/"+pod.Name)
}

// nodeChanged tries again what waits, when a change can matter to it; heartbeats
// do not.
func (c *Controller) nodeChanged(before, after any) {
	old, ok := before.(*corev1.Node)
	node, also := after.(*corev1.Node)
	if !ok || !also || matters(old, node) {
		c.retryAll()
	}
}

func (c *Controller) retryAll() { c.retry(func(verdict) bool { return true }) }

// retry queues those that wait and are meant, the more important ones first.
func (c *Controller) retry(meant func(verdict) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for key, v := range c.unplaced {
		if meant(v) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.unplaced[b].priority, c.unplaced[a].priority), c.unplaced[a].created.Compare(c.unplaced[b].created))
	})
	for _, key := range keys {
		c.waiting.Add(key)
	}
}

// world returns all nodes with what their pods ask for, as they are for a pod.
func (c *Controller) world(pod *corev1.Pod) (world, error) {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return world{}, fmt.Errorf("listing nodes: %w", err)
	}
	w := world{nodes: make([]candidate, len(nodes)), namespace: c.labelsOf, budgets: c.budgetsOf}
	for i, node := range nodes {
		w.nodes[i] = c.ledger.on(node, pod)
	}
	return w, nil
}

// labelsOf returns the labels of a namespace, none where it is gone.
func (c *Controller) labelsOf(namespace string) labels.Set {
	n, err := c.namespaces.Get(namespace)
	if err != nil {
		return nil
	}
	return n.Labels
}

// schedulable reports whether a pod waits for this scheduler to place it.
func schedulable(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == Name && waits(pod) }

// foreign reports whether a pod waits for another scheduler.
func foreign(pod *corev1.Pod) bool { return pod.Spec.SchedulerName != Name && waits(pod) }

func waits(pod *corev1.Pod) bool {
	return pod.Spec.NodeName == "" && len(pod.Spec.SchedulingGates) == 0 && pod.DeletionTimestamp == nil && !ended(pod)
}
