// Package rootca gives every active namespace the ConfigMap kube-root-ca.crt, from
// which pods learn whom to trust as the API server. It is made again when deleted
// and repaired when changed.
package rootca

import (
	"context"
	"errors"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

const workers = 4

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
	// Bundle is what to publish: the certificates, in PEM, that vouch for the
	// API server.
	Bundle []byte
}

// Controller publishes one bundle.
type Controller struct {
	config Config
	queue  *queue.Queue
	// published watches the config maps of this name alone: keeping all config
	// maps in memory would be a high price for one per namespace.
	published cache.SharedIndexInformer
	configs   corelisters.ConfigMapLister
	decide    reconciler
	watches   queue.Watches
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	named := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	}
	c := &Controller{
		watches: queue.Watches{Purpose: "for root certificates"},
		config:  config,
		queue:   queue.New(config.Clock),
		published: coreinformers.NewFilteredConfigMapInformer(config.Client, metav1.NamespaceAll, 0,
			cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, named),
	}
	c.configs = corelisters.NewConfigMapLister(c.published.GetIndexer())
	namespaces := config.Informers.Core().V1().Namespaces()
	c.decide = newReconciler(config, namespaces.Lister(), c.configs)
	c.watches.Add(namespaces.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.queue.AddObject,
		UpdateFunc: func(_, obj any) { c.queue.AddObject(obj) },
	})
	c.watches.Add(c.published, cache.ResourceEventHandlerFuncs{
		AddFunc:    c.changed,
		UpdateFunc: func(_, obj any) { c.changed(obj) },
		DeleteFunc: c.changed,
	})
	return c
}

func newReconciler(config Config, namespaces corelisters.NamespaceLister, configs corelisters.ConfigMapLister) reconciler {
	return reconciler{
		bundle:    string(config.Bundle),
		namespace: namespaces.Get,
		current: func(namespace string) (*corev1.ConfigMap, error) {
			return configs.ConfigMaps(namespace).Get(name)
		},
		create: func(ctx context.Context, c *corev1.ConfigMap) error {
			_, err := config.Client.CoreV1().ConfigMaps(c.Namespace).Create(ctx, c, metav1.CreateOptions{})
			return err
		},
		update: func(ctx context.Context, c *corev1.ConfigMap) error {
			_, err := config.Client.CoreV1().ConfigMaps(c.Namespace).Update(ctx, c, metav1.UpdateOptions{})
			return err
		},
		remove: func(ctx context.Context, c *corev1.ConfigMap) error {
			return config.Client.CoreV1().ConfigMaps(c.Namespace).Delete(ctx, c.Name,
				metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(c.UID))})
		},
	}
}

func (c *Controller) changed(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	if namespace, config, err := cache.SplitMetaNamespaceKey(key); err == nil && config == name {
		c.queue.Add(namespace)
	}
}

// Run publishes until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.published.RunWithContext(ctx)
	}()
	if c.watches.Wait(ctx) {
		c.queue.Run(ctx, workers, c.config.Log, c.decide.reconcile)
	}
	<-ended
	return nil
}

// Ready returns nil when the bundle is published in every system namespace.
func (c *Controller) Ready() error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	for _, namespace := range systemnamespaces.Names() {
		if _, err := c.configs.ConfigMaps(namespace).Get(name); err != nil {
			return errors.New("the ConfigMap " + name + " of namespace " + namespace + " is missing")
		}
	}
	return nil
}
