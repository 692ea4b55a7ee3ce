// Package nodelifecycle judges nodes by their heartbeats: one that stops posting is
// reported as not known to be ready, and conditions that keep pods away become
// taints.
//
// Heartbeats are judged by when they arrive here, on wall time, so that neither a
// skewed clock of a node nor a test clock makes a node fail. Evicting pods from
// such nodes is not done; the pods of nodes that are removed are podgc's.
package nodelifecycle

import (
	"context"
	"log/slog"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

// Grace is how long a node may be silent.
const Grace = 40 * time.Second

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	// Clock must be wall time.
	Clock clock.WithTicker
	Log   *slog.Logger
}

// Controller judges nodes.
type Controller struct {
	config  Config
	queue   *queue.Queue
	nodes   corelisters.NodeLister
	decide  reconciler
	watches queue.Watches

	mu sync.Mutex
	// heard is when a node was last heard of.
	heard map[string]time.Time
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	nodes := config.Informers.Core().V1().Nodes()
	leases := config.Informers.Coordination().V1().Leases()
	c := &Controller{
		watches: queue.Watches{Purpose: "nodes and leases"},
		config:  config, queue: queue.New(config.Clock), nodes: nodes.Lister(), heard: map[string]time.Time{},
	}
	c.decide = reconciler{
		now:   config.Clock.Now,
		heard: c.lastHeard,
		updateStatus: func(ctx context.Context, n *corev1.Node) (*corev1.Node, error) {
			return config.Client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
		},
		update: func(ctx context.Context, n *corev1.Node) error {
			_, err := config.Client.CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{})
			return err
		},
	}
	c.watches.Add(nodes.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.nodeAdded,
		UpdateFunc: c.nodeChanged,
		DeleteFunc: c.nodeGone,
	})
	c.watches.Add(leases.Informer(), cache.ResourceEventHandlerFuncs{
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
	if posted(readyCondition(old), readyCondition(n)) {
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
	if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.heard, name)
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
	c.heard[node] = c.config.Clock.Now()
}

func (c *Controller) lastHeard(node string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[node]
}

// Run judges nodes until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	if !c.watches.Wait(ctx) {
		return nil
	}
	c.queue.Run(ctx, 1, c.config.Log, c.sync)
	return nil
}

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
