// Package endpointslicemirroring keeps EndpointSlices that say what Endpoints of services
// without a selector say, which somebody has made by hand: those who read only slices see
// them, too.
//
// Slices of services with a selector are kept by internal/controller/endpointslice. Slices
// go with their Endpoints; those of another manager are left alone.
package endpointslicemirroring

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"laterna.dev/laterna/internal/controller/endpointtracking"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's.
const Name = "endpointslicemirroring-controller"

const (
	// manager is what slices say of who keeps them.
	manager = "endpointslicemirroring-controller.k8s.io"
	// workers is how many Endpoints are looked at in parallel.
	workers = 5
	// lastRetry is the longest pause after failures.
	lastRetry = 100 * time.Second
)

// Controller mirrors Endpoints.
type Controller struct {
	env       env.Env
	loop      *run.Loop
	queue     *queue.Queue // of Endpoints
	endpoints corelisters.EndpointsLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	written   *endpointsliceutil.EndpointSliceTracker
}

// New returns a controller that does nothing until Run.
func New(e env.Env) *Controller {
	core, slices := e.Informers.Core().V1(), e.Informers.Discovery().V1().EndpointSlices()
	c := &Controller{
		env:       e,
		loop:      run.New(e, "endpoints, services and endpoint slices"),
		endpoints: core.Endpoints().Lister(),
		services:  core.Services().Lister(),
		slices:    slices.Lister(),
		written:   endpointsliceutil.NewEndpointSliceTracker(),
	}
	c.queue = c.loop.QueueRetrying(workers, endpointtracking.Retries(lastRetry), c.sync)
	c.loop.RecordAs("endpoint-slice-mirroring-controller")
	c.loop.Watch(core.Endpoints().Informer(), concerning(c.queue.AddObject, mirrored))
	c.loop.Watch(core.Services().Informer(), concerning(c.queue.AddObject, unselective))
	c.loop.Watch(slices.Informer(), endpointtracking.Slices(manager, c.written, c.queue))
	return c
}

// concerning calls changed for objects that concern the controller, or did before.
func concerning[T metav1.Object](changed func(any), concerns func(T) bool) cache.ResourceEventHandler {
	does := func(obj any) bool {
		o, ok := run.Last[T](obj)
		return ok && concerns(o)
	}
	seen := func(obj any) {
		if does(obj) {
			changed(obj)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: seen, DeleteFunc: seen, UpdateFunc: func(old, obj any) {
		if does(old) || does(obj) {
			changed(obj)
		}
	}}
}

func unselective(s *corev1.Service) bool { return s.Spec.Selector == nil }

// Run mirrors until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// sync brings the slices of Endpoints in line with them.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil // a key of our own making
	}
	slices, err := endpointtracking.Of(c.slices, namespace, name, manager)
	if err != nil {
		return err
	}
	endpoints, err := c.endpoints.Endpoints(namespace).Get(name)
	service, serviceErr := c.services.Services(namespace).Get(name)
	for _, err := range []error{err, serviceErr} {
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	if err != nil || serviceErr != nil || !mirrored(endpoints) || !unselective(service) {
		c.written.DeleteService(namespace, name)
		return c.remove(ctx, slices)
	}
	if c.written.StaleSlices(service, slices) {
		return endpointtracking.ErrStale
	}
	d := desired(endpoints)
	c.tell(endpoints, d)
	return c.apply(ctx, endpoints, compare(endpoints, d, slices))
}

// tell records what is not mirrored.
func (c *Controller) tell(e *corev1.Endpoints, d desiredSlices) {
	if d.invalid > 0 {
		c.loop.Events().Eventf(e, corev1.EventTypeWarning, "InvalidIPAddress", "Skipped %d invalid IP addresses when mirroring to EndpointSlices", d.invalid)
	}
	if d.skipped > d.invalid {
		c.loop.Events().Eventf(e, corev1.EventTypeWarning, "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", perSubset, d.skipped)
	}
}

// apply does what was decided.
func (c *Controller) apply(ctx context.Context, e *corev1.Endpoints, ch changes) error {
	client := c.env.Client.DiscoveryV1().EndpointSlices(e.Namespace)
	for _, s := range ch.create {
		if e.DeletionTimestamp != nil {
			break
		}
		made, err := client.Create(ctx, s, metav1.CreateOptions{})
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("failed to create EndpointSlice for Endpoints %s/%s: %w", e.Namespace, e.Name, err)
		}
		c.written.Update(made)
	}
	for _, s := range ch.update {
		stored, err := client.Update(ctx, s, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("failed to update %s EndpointSlice for Endpoints %s/%s: %w", s.Name, e.Namespace, e.Name, err)
		}
		c.written.Update(stored)
	}
	for _, s := range ch.remove {
		c.written.ExpectDeletion(s)
	}
	return c.remove(ctx, ch.remove)
}

// remove deletes slices. One that is gone already is no error.
func (c *Controller) remove(ctx context.Context, slices []*discoveryv1.EndpointSlice) error {
	var errs []error
	for _, s := range slices {
		err := c.env.Client.DiscoveryV1().EndpointSlices(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
		if err != nil && !run.Overtaken(err) {
			errs = append(errs, fmt.Errorf("failed to delete %s EndpointSlice in %s: %w", s.Name, s.Namespace, err))
		}
	}
	return errors.Join(errs...)
}
