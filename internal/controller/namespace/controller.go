// Package namespace empties a namespace that is being deleted and then lets it go.
//
// Pods go first and with their grace period; all else goes when they are gone, so
// that a pod never runs on without its configuration (KEP-5080). What a namespace
// is lives in internal/registry/core/namespace.
package namespace

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

const (
	workers = 4
	// recheck is when a namespace that still holds something is looked at again;
	// the end of its pods is noticed at once.
	recheck = time.Second
)

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Metadata  metadata.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
}

// Controller empties namespaces.
type Controller struct {
	config     Config
	queue      *queue.Queue
	namespaces corelisters.NamespaceLister
	decide     reconciler
	watches    queue.Watches
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	c := &Controller{
		watches: queue.Watches{Purpose: "namespaces to empty"},
		config:  config, queue: queue.New(config.Clock), namespaces: core.Namespaces().Lister(),
	}
	c.decide = newReconciler(config)
	c.watches.Add(core.Namespaces().Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.changed,
		UpdateFunc: func(_, obj any) { c.changed(obj) },
	})
	c.watches.Add(core.Pods().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.podDeleted})
	return c
}

func newReconciler(config Config) reconciler {
	namespaces := config.Client.CoreV1().Namespaces()
	content := content{client: config.Metadata}
	return reconciler{
		now: config.Clock.Now,
		get: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return namespaces.Get(ctx, name, metav1.GetOptions{})
		},
		resources: func() ([]resource, error) { return discover(config.Client.Discovery()) },
		remove:    content.remove,
		updateStatus: func(ctx context.Context, n *corev1.Namespace) error {
			_, err := namespaces.UpdateStatus(ctx, n, metav1.UpdateOptions{})
			return err
		},
		finalize: func(ctx context.Context, n *corev1.Namespace) error {
			_, err := namespaces.Finalize(ctx, n, metav1.UpdateOptions{})
			return err
		},
	}
}

func (c *Controller) changed(obj any) {
	if n, ok := obj.(*corev1.Namespace); ok && n.DeletionTimestamp != nil {
		c.queue.Add(n.Name)
	}
}

func (c *Controller) podDeleted(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	namespace, _, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return
	}
	if n, err := c.namespaces.Get(namespace); err == nil {
		c.changed(n)
	}
}

// Run empties namespaces until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	if !c.watches.Wait(ctx) {
		return nil
	}
	c.queue.Run(ctx, workers, c.config.Log, c.sync)
	return nil
}

func (c *Controller) sync(ctx context.Context, name string) error {
	done, err := c.decide.reconcile(ctx, name)
	switch {
	case apierrors.IsConflict(err):
		c.queue.Add(name) // somebody else wrote; read it anew
		return nil
	case err == nil && !done:
		c.queue.AddAfter(name, recheck)
	}
	return err
}
