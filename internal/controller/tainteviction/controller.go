// Package tainteviction deletes pods from nodes with taints that they do not tolerate any
// longer: those of the effect NoExecute. Writing the taints of nodes that are silent or
// not ready is internal/controller/nodelifecycle's, keeping new pods away
// internal/controller/scheduler's.
package tainteviction

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's, upstream's for it.
const Name = "taint-eviction-controller"

// Controller deletes pods, on wall time.
type Controller struct {
	env    env.Env
	loop   *run.Loop
	queue  *queue.Queue // pods, by namespace and name
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	podsOf func(node string) []*corev1.Pod

	mu sync.Mutex
	// arrived is when taints were first seen, by node.
	arrived map[string]map[mark]time.Time
	// marked are the pods that are to be deleted unless something changes.
	marked map[string]marking
}

// marking is a pod whose time runs since then.
type marking struct {
	uid   types.UID
	since time.Time
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	core := e.Informers.Core().V1()
	pods := core.Pods().Informer()
	c := &Controller{
		env: e, loop: run.New(e, "pods and nodes"), pods: core.Pods().Lister(), nodes: core.Nodes().Lister(),
		arrived: map[string]map[mark]time.Time{}, marked: map[string]marking{},
	}
	c.queue = c.loop.Queue(4, c.sync)
	c.loop.RecordAs(Name)
	var err error
	if c.podsOf, err = run.PodsByNode(pods); err != nil {
		c.loop.Fail(err)
		return c
	}
	c.loop.Watch(pods, run.Handlers(c.podChanged))
	c.loop.Watch(core.Nodes().Informer(), run.Handlers(c.nodeChanged))
	return c
}

// Run deletes pods until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) podChanged(obj any) {
	if name, ok := run.NameOf(obj); ok {
		c.queue.Add(name.String())
	}
}

// nodeChanged notes which taints a node has and since when, and looks at its pods where
// that has changed.
func (c *Controller) nodeChanged(obj any) {
	name, ok := run.NameOf(obj)
	if !ok {
		return
	}
	node, err := c.nodes.Get(name.Name)
	c.mu.Lock()
	before := c.arrived[name.Name]
	if err != nil {
		delete(c.arrived, name.Name)
		c.mu.Unlock()
		return // its pods are podgc's
	}
	now := arrivals(node, before, c.env.Wall.Now())
	c.arrived[name.Name] = now
	if len(now) == 0 {
		delete(c.arrived, name.Name)
	}
	c.mu.Unlock()
	if same(before, now) {
		return
	}
	for _, pod := range c.podsOf(name.Name) {
		c.podChanged(pod)
	}
}

// sync deletes a pod whose time has come, or waits for that.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil
	}
	pod, err := c.pods.Pods(namespace).Get(name)
	if err != nil || pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil {
		c.forget(key)
		return nil
	}
	node, err := c.nodes.Get(pod.Spec.NodeName)
	if err != nil {
		return nil
	}
	now := c.env.Wall.Now()
	c.mu.Lock()
	arrived := arrivals(node, c.arrived[node.Name], now)
	m, marked := c.marked[key]
	c.mu.Unlock()
	if marked = marked && m.uid == pod.UID; !marked {
		m = marking{pod.UID, now}
	}
	at, ends := due(pod, node, arrived, m.since)
	switch {
	case !ends && marked:
		c.forget(key)
		c.loop.Events().Eventf(pod, corev1.EventTypeNormal, "TaintManagerEviction", "Cancelling deletion of Pod %s", key)
		return nil
	case !ends:
		return nil
	}
	c.mark(key, m)
	if wait := at.Sub(now); wait > 0 {
		c.queue.AddAfter(key, wait)
		return nil
	}
	return c.evict(ctx, key, pod)
}

func (c *Controller) mark(key string, m marking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marked[key] = m
}

func (c *Controller) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.marked, key)
}

// evict says why a pod ends, and deletes it.
func (c *Controller) evict(ctx context.Context, key string, pod *corev1.Pod) error {
	c.loop.Events().Eventf(pod, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s", key)
	c.env.Log.InfoContext(ctx, "deleting a pod that does not tolerate the taints of its node", "pod", key, "node", pod.Spec.NodeName)
	return run.Disrupt(ctx, c.env, pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
}
