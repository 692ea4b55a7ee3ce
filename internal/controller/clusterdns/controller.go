// Package clusterdns keeps the service kube-dns, where pods ask for names, and the
// EndpointSlices that lead each node's pods to the node's own DNS. Nodes say in an annotation
// where that is; while no node says so there is no service.
//
// What answers is internal/network/dns's, what nodes write internal/app/agent's.
package clusterdns

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's.
const Name = "cluster-dns-controller"

// all is the one key: services and slices are decided together.
const all = "all"

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// Address is that of the service.
	Address netip.Addr
}

// Controller keeps one service.
type Controller struct {
	loop  *run.Loop
	queue *queue.Queue
}

// New makes a controller. Call it before the informers are started.
func New(c Config) *Controller {
	nodes, services := c.Informers.Core().V1().Nodes(), c.Informers.Core().V1().Services()
	slices := c.Informers.Discovery().V1().EndpointSlices()
	k := &Controller{loop: run.New(c.Env, "nodes with cluster DNS")}
	k.queue = k.loop.Queue(1, newReconciler(c, nodes.Lister(), services.Lister(), slices.Lister()).reconcile)
	k.loop.Watch(nodes.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc: k.always, DeleteFunc: k.always,
		// Nodes change with every heartbeat.
		UpdateFunc: func(before, after any) {
			old, ok := before.(*corev1.Node)
			node, also := after.(*corev1.Node)
			if ok && also && old.Annotations[api.ClusterDNS] != node.Annotations[api.ClusterDNS] {
				k.always(after)
			}
		},
	})
	k.loop.Watch(services.Informer(), run.Handlers(func(obj any) {
		if name, ok := run.NameOf(obj); ok && name.Namespace == metav1.NamespaceSystem && name.Name == service {
			k.always(obj)
		}
	}))
	k.loop.Watch(slices.Informer(), run.Handlers(func(obj any) {
		if s, ok := run.Last[*discoveryv1.EndpointSlice](obj); ok && s.Namespace == metav1.NamespaceSystem && s.Labels[discoveryv1.LabelServiceName] == service {
			k.always(obj)
		}
	}))
	return k
}

func (k *Controller) always(any) { k.queue.Add(all) }

// Run keeps the service until ctx ends.
func (k *Controller) Run(ctx context.Context) error { return k.loop.Run(ctx) }

func newReconciler(c Config, nodes corelisters.NodeLister, services corelisters.ServiceLister, slices discoverylisters.EndpointSliceLister) reconciler {
	serviceClient := c.Client.CoreV1().Services(metav1.NamespaceSystem)
	sliceClient := c.Client.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem)
	return reconciler{
		address: c.Address,
		nodes:   func() ([]*corev1.Node, error) { return nodes.List(labels.Everything()) },
		service: func() (*corev1.Service, error) { return services.Services(metav1.NamespaceSystem).Get(service) },
		slices: func() ([]*discoveryv1.EndpointSlice, error) {
			return slices.EndpointSlices(metav1.NamespaceSystem).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
		},
		createService: func(ctx context.Context, s *corev1.Service) error {
			_, err := serviceClient.Create(ctx, s, metav1.CreateOptions{})
			return err
		},
		updateService: run.Commits(c.Env, serviceClient.Update),
		deleteService: func(ctx context.Context, s *corev1.Service) error {
			return serviceClient.Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
		},
		createSlice: func(ctx context.Context, s *discoveryv1.EndpointSlice) error {
			_, err := sliceClient.Create(ctx, s, metav1.CreateOptions{})
			return err
		},
		updateSlice: run.Commits(c.Env, sliceClient.Update),
		deleteSlice: func(ctx context.Context, name string) error {
			return sliceClient.Delete(ctx, name, metav1.DeleteOptions{})
		},
		deleteEndpoints: func(ctx context.Context) error {
			err := c.Client.CoreV1().Endpoints(metav1.NamespaceSystem).Delete(ctx, service, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("removing the endpoints %s: %w", service, err)
			}
			return nil
		},
	}
}
