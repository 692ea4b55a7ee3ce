// Package rootca gives every active namespace the ConfigMap kube-root-ca.crt, from
// which pods learn whom to trust as the API server. It is made again when deleted
// and repaired when changed.
package rootca

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

const workers = 4

// Name is the controller's, upstream's for it.
const Name = "root-ca-cert-publisher"

// Config is what a Controller is made of. All fields are required.
type Config struct {
	env.Env
	// Bundle is what to publish: the certificates, in PEM, that vouch for the
	// API server.
	Bundle []byte
}

// Controller publishes one bundle.
type Controller struct {
	loop    *run.Loop
	queue   *queue.Queue
	configs corelisters.ConfigMapLister
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	named := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	}
	// Only the config maps of this name are watched: keeping all config maps in memory
	// would be a high price for one per namespace.
	published := coreinformers.NewFilteredConfigMapInformer(config.Client, metav1.NamespaceAll, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, named)
	namespaces := config.Informers.Core().V1().Namespaces()
	c := &Controller{loop: run.New(config.Env, "for root certificates"), configs: corelisters.NewConfigMapLister(published.GetIndexer())}
	c.queue = c.loop.Queue(workers, newReconciler(config, namespaces.Lister(), c.configs).reconcile)
	c.loop.Watch(namespaces.Informer(), run.Present(c.queue.AddObject))
	c.loop.WatchOwn(published, run.Handlers(c.changed))
	return c
}

func newReconciler(config Config, namespaces corelisters.NamespaceLister, configs corelisters.ConfigMapLister) reconciler {
	client := config.Client.CoreV1()
	return reconciler{
		bundle:    string(config.Bundle),
		namespace: namespaces.Get,
		current: func(namespace string) (*corev1.ConfigMap, error) {
			return configs.ConfigMaps(namespace).Get(name)
		},
		create: func(ctx context.Context, c *corev1.ConfigMap) error {
			_, err := client.ConfigMaps(c.Namespace).Create(ctx, c, metav1.CreateOptions{})
			return err
		},
		update: run.Commits(config.Env, func(ctx context.Context, c *corev1.ConfigMap, o metav1.UpdateOptions) (*corev1.ConfigMap, error) {
			return client.ConfigMaps(c.Namespace).Update(ctx, c, o)
		}),
		remove: func(ctx context.Context, c *corev1.ConfigMap) error {
			return client.ConfigMaps(c.Namespace).Delete(ctx, c.Name,
				metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(c.UID))})
		},
	}
}

func (c *Controller) changed(obj any) {
	if config, ok := run.NameOf(obj); ok && config.Name == name {
		c.queue.Add(config.Namespace)
	}
}

// Run publishes until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// Ready returns nil when the bundle is published in every system namespace.
func (c *Controller) Ready() error {
	if err := c.loop.Err(); err != nil {
		return err
	}
	for _, namespace := range systemnamespaces.Names() {
		if _, err := c.configs.ConfigMaps(namespace).Get(name); err != nil {
			return errors.New("the ConfigMap " + name + " of namespace " + namespace + " is missing")
		}
	}
	return nil
}
