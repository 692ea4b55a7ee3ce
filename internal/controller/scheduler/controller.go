package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

// Name is the schedulerName of the pods that this scheduler places, and the
// component that its events come from.
const Name = corev1.DefaultSchedulerName

// binders is how many bindings are written at a time.
const binders = 16

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
}

// Controller places pods.
type Controller struct {
	config  Config
	waiting *queue.Queue // pods to decide about
	decided *queue.Queue // pods whose binding is to be written
	pods    corelisters.PodLister
	nodes   corelisters.NodeLister
	ledger  *ledger
	watches queue.Watches

	mu sync.Mutex
	// unplaced are the pods that no node takes, and what they were told.
	unplaced map[string]verdict
	// chosen are the decisions whose binding is to be written.
	chosen map[string]decision

	broadcaster record.EventBroadcaster
	events      record.EventRecorder
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	c := &Controller{
		watches:  queue.Watches{Purpose: "pods and nodes to schedule"},
		config:   config,
		waiting:  queue.New(config.Clock),
		decided:  queue.New(config.Clock),
		pods:     core.Pods().Lister(),
		nodes:    core.Nodes().Lister(),
		ledger:   newLedger(),
		unplaced: map[string]verdict{},
		chosen:   map[string]decision{},
	}
	c.watches.Add(core.Pods().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.podSeen(obj) },
		UpdateFunc: func(_, obj any) { c.podSeen(obj) },
		DeleteFunc: c.podGone,
	})
	c.watches.Add(core.Nodes().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.retryAll() },
		UpdateFunc: c.nodeChanged,
	})
	return c
}

// Run places pods until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	c.broadcaster = record.NewBroadcaster(record.WithContext(ctx))
	defer c.broadcaster.Shutdown()
	c.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.config.Client.CoreV1().Events("")})
	c.events = c.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: Name})
	if !c.watches.Wait(ctx) {
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.decided.Run(ctx, binders, c.config.Log, c.bind) })
	c.waiting.Run(ctx, 1, c.config.Log, c.decide)
	wg.Wait()
	return nil
}

func (c *Controller) podSeen(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	freed := c.ledger.seen(pod)
	if schedulable(pod) {
		c.waiting.AddObject(pod)
	} else {
		c.forget(pod)
	}
	if freed {
		c.retryAll()
	}
}

func (c *Controller) podGone(obj any) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	pod, ok := obj.(*corev1.Pod)
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

func (c *Controller) retryAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.unplaced {
		c.waiting.Add(key)
	}
}

// candidates returns all nodes with what their pods ask for.
func (c *Controller) candidates() ([]candidate, error) {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	all := make([]candidate, len(nodes))
	for i, node := range nodes {
		used, ports := c.ledger.on(node.Name)
		all[i] = candidate{node, used, ports}
	}
	return all, nil
}

// schedulable reports whether a pod waits for this scheduler to place it.
func schedulable(pod *corev1.Pod) bool {
	return pod.Spec.NodeName == "" && pod.Spec.SchedulerName == Name && len(pod.Spec.SchedulingGates) == 0 &&
		pod.DeletionTimestamp == nil && !ended(pod)
}
