// Package namespace empties a namespace that is being deleted and then lets it go.
//
// Pods go first and with their grace period; all else goes when they are gone, so
// that a pod never runs on without its configuration (KEP-5080). What a namespace
// is lives in internal/registry/core/namespace.
package namespace

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

const (
	workers = 4
	// recheck is when a namespace that still holds something is looked at again;
	// the end of its pods is noticed at once.
	recheck = time.Second
)

// Name is the controller's, upstream's for it.
const Name = "namespace-controller"

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// Metadata is a client of all kinds, with the identity of Client.
	Metadata metadata.Interface
}

// Controller empties namespaces.
type Controller struct {
	loop       *run.Loop
	queue      *queue.Queue
	namespaces corelisters.NamespaceLister
	decide     reconciler
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	c := &Controller{
		loop:       run.New(config.Env, "namespaces to empty"),
		namespaces: core.Namespaces().Lister(),
		decide:     newReconciler(config),
	}
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.Watch(core.Namespaces().Informer(), run.Present(c.changed))
	c.loop.Watch(core.Pods().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.podDeleted})
	return c
}

func newReconciler(config Config) reconciler {
	namespaces := config.Client.CoreV1().Namespaces()
	return reconciler{
		now: config.Wall.Now,
		get: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return namespaces.Get(ctx, name, metav1.GetOptions{})
		},
		resources:    func() ([]resource, error) { return discover(config.Client.Discovery()) },
		remove:       content{client: config.Metadata}.remove,
		updateStatus: run.Commits(config.Env, namespaces.UpdateStatus),
		finalize:     run.Commits(config.Env, namespaces.Finalize),
	}
}

func (c *Controller) changed(obj any) {
	if n, ok := obj.(*corev1.Namespace); ok && n.DeletionTimestamp != nil {
		c.queue.Add(n.Name)
	}
}

func (c *Controller) podDeleted(obj any) {
	pod, ok := run.NameOf(obj)
	if !ok {
		return
	}
	if n, err := c.namespaces.Get(pod.Namespace); err == nil {
		c.changed(n)
	}
}

// Run empties namespaces until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

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
