// Package endpoints keeps the Endpoints of services that select pods.
//
// The API calls Endpoints deprecated; webhooks, proxies and clients that know no
// EndpointSlices go on reading them. Slices are kept by internal/controller/endpointslice;
// Endpoints that are made by hand are mirrored by internal/controller/endpointslicemirroring;
// those of the service kubernetes are kept by internal/registry/systemobjects.
package endpoints

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"laterna.dev/laterna/internal/controller/endpointtracking"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/workload"
)

// Name is the controller's, and what Endpoints say of who keeps them.
const Name = "endpoint-controller"

const (
	// workers is how many services are looked at in parallel.
	workers = 5
	// kind is what is remembered of own writes.
	kind = "endpoints"
	// leader marks Endpoints that are a lock and belong to no service.
	leader = "control-plane.alpha.kubernetes.io/leader"
)

// retries are upstream's.
var retries = queue.Retries{First: 5 * time.Millisecond, Last: 1000 * time.Second, Most: 15}

// Controller keeps Endpoints.
type Controller struct {
	env       env.Env
	loop      *run.Loop
	queue     *queue.Queue // of services
	services  corelisters.ServiceLister
	pods      corelisters.PodLister
	endpoints corelisters.EndpointsLister
	triggers  *endpointsliceutil.TriggerTimeTracker
	written   *workload.Written
}

// New returns a controller that does nothing until Run.
func New(e env.Env) *Controller {
	core := e.Informers.Core().V1()
	all := core.Endpoints().Informer()
	c := &Controller{
		env:       e,
		loop:      run.New(e, "services, pods and endpoints"),
		services:  core.Services().Lister(),
		pods:      core.Pods().Lister(),
		endpoints: core.Endpoints().Lister(),
		triggers:  endpointsliceutil.NewTriggerTimeTracker(),
		written:   workload.NewWritten(map[string]workload.Cache{kind: all.GetIndexer()}),
	}
	c.queue = c.loop.QueueRetrying(workers, retries, c.sync)
	c.loop.RecordAs(Name)
	// What was written for a service goes with it, and so do its Endpoints.
	c.loop.Watch(core.Services().Informer(), c.written.Parents(c.queue.AddObject))
	c.loop.Watch(core.Services().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.queue.AddObject})
	c.loop.Watch(core.Pods().Informer(), endpointtracking.Pods(c.services, c.queue))
	c.loop.Watch(all, cache.ResourceEventHandlerFuncs{DeleteFunc: c.queue.AddObject})
	c.loop.Beside(c.leftOver)
	return c
}

// Run keeps Endpoints until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// leftOver looks once at Endpoints whose service went while nobody watched.
func (c *Controller) leftOver(context.Context) {
	all, err := c.endpoints.List(labels.Everything())
	if err != nil {
		return // a lister of a cache does not fail
	}
	for _, e := range all {
		if _, lock := e.Annotations[leader]; !lock {
			c.queue.AddObject(e)
		}
	}
}

// sync brings the Endpoints of a service in line with its pods.
func (c *Controller) sync(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil // a key of our own making
	}
	service, err := c.services.Services(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		c.triggers.DeleteService(namespace, name)
		return c.remove(ctx, namespace, name)
	}
	if err != nil {
		return err
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || service.Spec.Selector == nil {
		return nil
	}
	pods, err := c.pods.Pods(namespace).List(labels.Set(service.Spec.Selector).AsSelectorPreValidated())
	if err != nil {
		return err
	}
	// Asked each time, so that it remembers what it saw even when nothing is written.
	trigger := c.triggers.ComputeEndpointLastChangeTriggerTime(namespace, service, pods)
	have, err := c.endpoints.Endpoints(namespace).Get(name)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err := c.written.Unseen(service.UID); err != nil {
		return err
	}
	if want := desired(service, pods, have, trigger); want != nil {
		return c.write(ctx, service, have, want)
	}
	return nil
}

// remove deletes the Endpoints of a service that is gone. A name whose Endpoints are not
// there either costs a request, since the cache may have yet to see them.
func (c *Controller) remove(ctx context.Context, namespace, name string) error {
	err := c.env.Client.CoreV1().Endpoints(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting endpoints of a service that is gone: %w", err)
	}
	return nil
}

// write creates or updates Endpoints; have is nil for new ones.
func (c *Controller) write(ctx context.Context, service *corev1.Service, have, want *corev1.Endpoints) error {
	client := c.env.Client.CoreV1().Endpoints(service.Namespace)
	var (
		stored         *corev1.Endpoints
		err            error
		reason, format = "FailedToUpdateEndpoint", "Failed to update endpoint %v/%v: %v"
	)
	if have == nil {
		reason, format = "FailedToCreateEndpoint", "Failed to create endpoint for service %v/%v: %v"
		stored, err = client.Create(ctx, want, metav1.CreateOptions{})
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
	} else {
		stored, err = client.Update(ctx, want, metav1.UpdateOptions{})
	}
	if err != nil {
		if ctx.Err() == nil {
			c.loop.Events().Eventf(want, corev1.EventTypeWarning, reason, format, service.Namespace, service.Name, err)
		}
		return err
	}
	c.written.Wrote(service.UID, kind, stored)
	return nil
}
