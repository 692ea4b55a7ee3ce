// Package endpointslice keeps the EndpointSlices of services that select pods.
//
// What is in a slice, and how slices are filled, is decided by the library
// (k8s.io/endpointslice); this package feeds it. Slices of services without a selector are
// made by hand or mirrored from Endpoints (internal/controller/endpointslicemirroring); that
// of the service kubernetes is kept by internal/registry/systemobjects.
package endpointslice

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	endpointslicelib "k8s.io/endpointslice"
	"k8s.io/endpointslice/metrics"
	"k8s.io/endpointslice/topologycache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"laterna.dev/laterna/internal/controller/endpointtracking"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's.
const Name = "endpointslice-controller"

const (
	// manager is what slices say of who keeps them.
	manager = "endpointslice-controller.k8s.io"
	// perSlice is how many endpoints a slice has at most.
	perSlice = 100
	// workers is how many services are looked at in parallel.
	workers = 5
	// lastRetry is the longest pause after failures.
	lastRetry = 1000 * time.Second
)

// Controller keeps slices.
type Controller struct {
	env      env.Env
	loop     *run.Loop
	queue    *queue.Queue // of services
	services corelisters.ServiceLister
	pods     corelisters.PodLister
	nodes    corelisters.NodeLister
	slices   discoverylisters.EndpointSliceLister

	written    *endpointsliceutil.EndpointSliceTracker
	triggers   *endpointsliceutil.TriggerTimeTracker
	topology   *topologycache.TopologyCache
	reconciler func() *endpointslicelib.Reconciler // there are events once Run has begun
	log        logr.Logger
}

// New returns a controller that does nothing until Run.
func New(e env.Env) *Controller {
	metrics.RegisterMetrics()
	core := e.Informers.Core().V1()
	slices := e.Informers.Discovery().V1().EndpointSlices()
	c := &Controller{
		env:      e,
		loop:     run.New(e, "services, pods and endpoint slices"),
		services: core.Services().Lister(),
		pods:     core.Pods().Lister(),
		nodes:    core.Nodes().Lister(),
		slices:   slices.Lister(),
		written:  endpointsliceutil.NewEndpointSliceTracker(),
		triggers: endpointsliceutil.NewTriggerTimeTracker(),
		topology: topologycache.NewTopologyCache(),
		// What the library has to tell is for those who look for a fault.
		log: logr.FromSlogHandler(e.Log.Handler()).V(4),
	}
	c.queue = c.loop.QueueRetrying(workers, endpointtracking.Retries(lastRetry), c.sync)
	nodes := c.loop.Queue(1, c.spread)
	c.loop.RecordAs("endpoint-slice-controller")
	c.reconciler = sync.OnceValue(func() *endpointslicelib.Reconciler {
		return endpointslicelib.NewReconciler(e.Client, c.nodes, perSlice, c.written, c.topology, c.loop.Events(), manager,
			endpointslicelib.WithPreferSameTrafficDistributionEnabled(true))
	})
	c.loop.Watch(core.Services().Informer(), run.Handlers(c.queue.AddObject))
	c.loop.Watch(core.Pods().Informer(), endpointtracking.Pods(c.services, c.queue))
	c.loop.Watch(slices.Informer(), endpointtracking.Slices(manager, c.written, c.queue))
	c.loop.Watch(core.Nodes().Informer(), zoneChanges(func() { nodes.Add(allNodes) }))
	return c
}

// Run keeps slices until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// sync brings the slices of a service in line with its pods.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil // a key of our own making
	}
	service, err := c.services.Services(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		c.forget(namespace, name) // its slices go with it, by their owner
		return nil
	}
	if err != nil {
		return err
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || service.Spec.Selector == nil {
		return nil
	}
	pods, err := c.pods.Pods(namespace).List(labels.Set(service.Spec.Selector).AsSelectorPreValidated())
	if err != nil {
		c.warn(service, "FailedToListPods", "Error listing Pods for Service %s/%s: %v", err)
		return err
	}
	slices, err := endpointtracking.Of(c.slices, namespace, name, manager)
	if err != nil {
		c.warn(service, "FailedToListEndpointSlices", "Error listing Endpoint Slices for Service %s/%s: %v", err)
		return err
	}
	slices = staying(slices)
	if c.written.StaleSlices(service, slices) {
		return endpointtracking.ErrStale
	}
	// Asked each time, so that it remembers what it saw even when nothing is written.
	trigger := c.triggers.ComputeEndpointLastChangeTriggerTime(namespace, service, pods)
	if err := c.reconciler().Reconcile(c.log, service, pods, slices, trigger); err != nil && ctx.Err() == nil {
		c.warn(service, "FailedToUpdateEndpointSlices", "Error updating Endpoint Slices for Service %s/%s: %v", err)
		return err
	}
	return nil
}

// warn records an event at a service.
func (c *Controller) warn(s *corev1.Service, reason, format string, err error) {
	c.loop.Events().Eventf(s, corev1.EventTypeWarning, reason, format, s.Namespace, s.Name, err)
}

// forget drops what is remembered of a service that is gone.
func (c *Controller) forget(namespace, name string) {
	c.triggers.DeleteService(namespace, name)
	c.reconciler().DeleteService(namespace, name)
	c.written.DeleteService(namespace, name)
}
