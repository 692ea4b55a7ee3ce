// Package resourcequota keeps the status of ResourceQuotas: what may be used, and what is
// used, which it counts again when a quota is new or changes, when something goes that was
// charged, and every five minutes.
//
// What is new is charged at admission (internal/admission/resourcequota); what objects use is
// counted in internal/registry/core/limits/usage. Only kinds that a quota of a namespace
// limits are followed there (monitors.go).
package resourcequota

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	quota "k8s.io/apiserver/pkg/quota/v1"
	informers "k8s.io/client-go/informers/core/v1"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/registry/core/limits/usage"
	"laterna.dev/laterna/internal/wait"
)

// Name is the controller's, upstream's for its service account.
const Name = "resourcequota-controller"

// period is how often everything is counted again.
const period = 5 * time.Minute

// Config is what the controller works with. Every field is required.
type Config struct {
	env.Env
	// Metadata lists and watches objects of whatever kind is counted.
	Metadata metadata.Interface
}

// Controller counts what is used of quotas.
type Controller struct {
	config   Config
	loop     *run.Loop
	queue    *queue.Queue // quotas, by namespace and name
	quotas   listers.ResourceQuotaLister
	pods     listers.PodLister
	services listers.ServiceLister
	claims   listers.PersistentVolumeClaimLister
	monitors *monitors
	write    run.Commit[*corev1.ResourceQuota]
}

// New makes a controller.
func New(c Config) *Controller {
	shared := c.Informers.Core().V1()
	own := informers.NewResourceQuotaInformer(c.Client, corev1.NamespaceAll, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	of := &Controller{
		config: c, loop: run.New(c.Env, "quotas and what they limit"), quotas: listers.NewResourceQuotaLister(own.GetIndexer()),
		pods: shared.Pods().Lister(), services: shared.Services().Lister(), claims: shared.PersistentVolumeClaims().Lister(), write: commits(c.Env),
	}
	of.monitors = newMonitors(c, of.changed)
	of.queue = of.loop.Queue(1, of.reconcile)
	of.loop.WatchOwn(own, cache.ResourceEventHandlerFuncs{
		AddFunc: of.queue.AddObject,
		UpdateFunc: func(old, obj any) {
			// The status is written by admission and by this controller.
			if before, now := old.(*corev1.ResourceQuota), obj.(*corev1.ResourceQuota); !quota.Equals(before.Spec.Hard, now.Spec.Hard) {
				of.queue.AddObject(obj)
			}
		},
		DeleteFunc: of.queue.AddObject,
	})
	of.follow(shared)
	of.loop.Beside(of.monitors.run)
	of.loop.Beside(func(ctx context.Context) {
		for wait.Pause(ctx, c.Wall, period) {
			of.changed(corev1.NamespaceAll)
		}
	})
	return of
}

// Run counts until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// follow notices when pods, services and claims use less.
func (c *Controller) follow(shared informers.Interface) {
	of := func(obj any) {
		if name, ok := run.NameOf(obj); ok {
			c.changed(name.Namespace)
		}
	}
	c.loop.Watch(shared.Pods().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: of, UpdateFunc: func(old, obj any) {
		before, now, at := old.(*corev1.Pod), obj.(*corev1.Pod), c.config.Wall.Now()
		if !usage.Ended(before, at) && usage.Ended(now, at) || before.Generation != now.Generation || !sameAllocation(before, now) {
			of(obj)
		}
	}})
	c.loop.Watch(shared.Services().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: of, UpdateFunc: func(old, obj any) {
		if usage.ServiceChanged(obj.(*corev1.Service), old.(*corev1.Service)) {
			of(obj)
		}
	}})
	c.loop.Watch(shared.PersistentVolumeClaims().Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: of, UpdateFunc: func(old, obj any) {
		if usage.ClaimChanged(obj.(*corev1.PersistentVolumeClaim), old.(*corev1.PersistentVolumeClaim)) {
			of(obj)
		}
	}})
}

// changed has the quotas of a namespace counted again.
func (c *Controller) changed(namespace string) {
	all, err := c.quotas.ResourceQuotas(namespace).List(labels.Everything())
	if err != nil {
		return // the lister reads memory and cannot fail
	}
	for _, q := range all {
		c.queue.AddObject(q)
	}
}
