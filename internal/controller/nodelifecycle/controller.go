// Package nodelifecycle judges nodes by their heartbeats: one that stops posting is
// reported as not known to be ready, and conditions that keep pods away become
// taints.
//
// Heartbeats are judged by when they arrive here, on wall time, so that neither a
// skewed clock of a node nor a test clock makes a node fail. Evicting pods from nodes with
// taints is internal/controller/tainteviction's; the pods of nodes that are removed are
// podgc's.
package nodelifecycle

import (
	"context"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/nodefields"
)

// Grace is how long a node may be silent.
const Grace = 40 * time.Second

// Name is the controller's, upstream's for it.
const Name = "node-controller"

// Controller judges nodes, on wall time.
type Controller struct {
	wall   clock.Wall
	loop   *run.Loop
	queue  *queue.Queue
	nodes  corelisters.NodeLister
	decide reconciler

	mu sync.Mutex
	// heard is when a node was last heard of.
	heard map[string]time.Time
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	nodes := e.Informers.Core().V1().Nodes()
	c := &Controller{wall: e.Wall, loop: run.New(e, "nodes and leases"), nodes: nodes.Lister(), heard: map[string]time.Time{}}
	c.decide = reconciler{
		now:          e.Wall.Now,
		heard:        c.lastHeard,
		updateStatus: run.Commits(e, e.Client.CoreV1().Nodes().UpdateStatus),
		update:       run.Commits(e, e.Client.CoreV1().Nodes().Update),
	}
	c.queue = c.loop.Queue(1, c.sync)
	c.loop.Watch(nodes.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.nodeAdded,
		UpdateFunc: c.nodeChanged,
		DeleteFunc: c.nodeGone,
	})
	c.loop.Watch(e.Informers.Coordination().V1().Leases().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.leaseSeen(nil, obj) },
		UpdateFunc: c.leaseSeen,
	})
	return c
}

func (c *Controller) nodeAdded(obj any) {
	if n, ok := obj.(*corev1.Node); ok {
		c.hear(n.Name)
		c.queue.Add(n.Name)
	}
}

func (c *Controller) nodeChanged(before, after any) {
	old, ok := before.(*corev1.Node)
	n, also := after.(*corev1.Node)
	if !ok || !also {
		return
	}
	if posted(nodefields.Condition(old, corev1.NodeReady), nodefields.Condition(n, corev1.NodeReady)) {
		c.hear(n.Name)
	}
	c.queue.Add(n.Name)
}

// posted reports whether a change of the ready condition came from the node: only
// the node makes it known again, and only the node moves its heartbeat.
func posted(before, after *corev1.NodeCondition) bool {
	if after == nil || after.Status == corev1.ConditionUnknown {
		return false
	}
	return before == nil || before.Status == corev1.ConditionUnknown || !after.LastHeartbeatTime.Equal(&before.LastHeartbeatTime)
}

func (c *Controller) nodeGone(obj any) {
	if node, ok := run.NameOf(obj); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.heard, node.Name)
	}
}

// leaseSeen takes a renewed lease as a heartbeat; resyncs renew nothing.
func (c *Controller) leaseSeen(before, after any) {
	lease, ok := after.(*coordinationv1.Lease)
	if !ok || lease.Namespace != corev1.NamespaceNodeLease {
		return
	}
	if old, ok := before.(*coordinationv1.Lease); ok && old.Spec.RenewTime.Equal(lease.Spec.RenewTime) {
		return
	}
	c.hear(lease.Name)
}

func (c *Controller) hear(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[node] = c.wall.Now()
}

func (c *Controller) lastHeard(node string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[node]
}

// Run judges nodes until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

func (c *Controller) sync(ctx context.Context, name string) error {
	n, err := c.nodes.Get(name)
	if err != nil {
		return nil // removed
	}
	next, err := c.decide.reconcile(ctx, n)
	if err != nil {
		return err
	}
	c.queue.AddAfter(name, next)
	return nil
}
