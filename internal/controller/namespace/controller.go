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
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

const (
	workers = 4
	// A namespace that still holds something is looked at again after recheck at first,
	// and the longer it takes the later, up to seldom, which is upstream's pause for what
	// has finalizers. The end of its pods is noticed at once.
	recheck = time.Second
	seldom  = 8 * time.Second
)

// pause is how long a namespace is left alone that has been ending for so long.
func pause(ending time.Duration) time.Duration { return min(max(ending/8, recheck), seldom) }

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
	since      func(time.Time) time.Duration
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	c := &Controller{
		loop:       run.New(config.Env, "namespaces to empty"),
		namespaces: core.Namespaces().Lister(),
		decide:     newReconciler(config),
		since:      config.Wall.Since,
	}
	c.queue = c.loop.Queue(workers, c.sync)
	c.loop.Watch(core.Namespaces().Informer(), run.Present(c.changed))
	c.loop.Watch(core.Pods().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.podDeleted})
	return c
}

func newReconciler(config Config) reconciler {
	namespaces := config.Client.CoreV1().Namespaces()
	pods := config.Informers.Core().V1().Pods().Lister()
	return reconciler{
		now: config.Wall.Now,
		get: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return namespaces.Get(ctx, name, metav1.GetOptions{})
		},
		resources: func() ([]resource, error, error) { return discover(config.Client.Discovery()) },
		graceful: func(n *corev1.Namespace) bool {
			all, err := pods.Pods(n.Name).List(labels.Everything())
			return err != nil || graceful(all, config.Wall.Since(n.DeletionTimestamp.Time))
		},
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
		c.queue.AddAfter(name, c.pause(name))
	}
	return err
}

func (c *Controller) pause(name string) time.Duration {
	n, err := c.namespaces.Get(name)
	if err != nil || n.DeletionTimestamp == nil {
		return recheck
	}
	return pause(c.since(n.DeletionTimestamp.Time))
}

// graceful tells whether the longest grace period of pods that run is not over, counted
// from the deletion of their namespace.
func graceful(pods []*corev1.Pod, ending time.Duration) bool {
	var longest int64
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed && p.Spec.TerminationGracePeriodSeconds != nil {
			longest = max(longest, *p.Spec.TerminationGracePeriodSeconds)
		}
	}
	return ending < time.Duration(longest)*time.Second
}
