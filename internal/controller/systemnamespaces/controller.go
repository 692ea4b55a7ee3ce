// Package systemnamespaces keeps the namespaces that the system itself needs:
// created at the start, and again should one ever be missing.
package systemnamespaces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

// Names lists the namespaces that this package keeps.
func Names() []string {
	return []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}
}

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
}

// Controller keeps the system namespaces.
type Controller struct {
	config     Config
	queue      *queue.Queue
	namespaces corelisters.NamespaceLister
	synced     cache.DoneChecker
	err        error
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	informer := config.Informers.Core().V1().Namespaces()
	c := &Controller{config: config, queue: queue.New(config.Clock), namespaces: informer.Lister()}
	handle, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: c.deleted})
	if err != nil {
		c.err = fmt.Errorf("watching namespaces: %w", err)
		return c
	}
	c.synced = handle.HasSyncedChecker()
	return c
}

func (c *Controller) deleted(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	for _, name := range Names() {
		if name == key {
			c.queue.Add(name)
		}
	}
}

// Run keeps the namespaces until ctx ends. The first creation does not wait for
// the informers: on an empty store it is what everything else waits for.
func (c *Controller) Run(ctx context.Context) error {
	if c.err != nil {
		return c.err
	}
	for _, name := range Names() {
		c.queue.Add(name)
	}
	c.queue.Run(ctx, len(Names()), c.config.Log, c.ensure)
	return nil
}

func (c *Controller) ensure(ctx context.Context, name string) error {
	if _, err := c.namespaces.Get(name); err == nil {
		return nil
	}
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := c.config.Client.CoreV1().Namespaces().Create(ctx, n, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// Ready returns nil when all system namespaces have been seen in the store.
func (c *Controller) Ready() error {
	if c.err != nil {
		return c.err
	}
	if !cache.IsDone(c.synced) {
		return errors.New("namespaces are being listed")
	}
	for _, name := range Names() {
		if _, err := c.namespaces.Get(name); err != nil {
			return fmt.Errorf("namespace %s is missing", name)
		}
	}
	return nil
}
