// Package serviceaccount gives every active namespace its service account
// `default`, again when it is deleted.
//
// What happens to a pod that names no account is decided in
// internal/admission/serviceaccount.
package serviceaccount

import (
	"context"
	"errors"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

// workers is how many accounts are created at a time; at the start all system
// namespaces want theirs at once.
const workers = 4

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
}

// Controller makes default service accounts.
type Controller struct {
	config   Config
	queue    *queue.Queue
	accounts corelisters.ServiceAccountLister
	decide   reconciler
	watches  queue.Watches
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	core := config.Informers.Core().V1()
	namespaces, accounts := core.Namespaces(), core.ServiceAccounts()
	c := &Controller{
		watches: queue.Watches{Purpose: "for default service accounts"},
		config:  config, queue: queue.New(config.Clock), accounts: accounts.Lister(),
	}
	c.decide = reconciler{
		namespace: namespaces.Lister().Get,
		account: func(namespace string) (*corev1.ServiceAccount, error) {
			return c.accounts.ServiceAccounts(namespace).Get(name)
		},
		create: func(ctx context.Context, sa *corev1.ServiceAccount) error {
			_, err := config.Client.CoreV1().ServiceAccounts(sa.Namespace).Create(ctx, sa, metav1.CreateOptions{})
			return err
		},
	}
	c.watches.Add(namespaces.Informer(), cache.ResourceEventHandlerFuncs{
		AddFunc:    c.queue.AddObject,
		UpdateFunc: func(_, obj any) { c.queue.AddObject(obj) },
	})
	c.watches.Add(accounts.Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.accountDeleted})
	return c
}

func (c *Controller) accountDeleted(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	if namespace, deleted, err := cache.SplitMetaNamespaceKey(key); err == nil && deleted == name {
		c.queue.Add(namespace)
	}
}

// Run makes accounts until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	if !c.watches.Wait(ctx) {
		return nil
	}
	c.queue.Run(ctx, workers, c.config.Log, c.decide.reconcile)
	return nil
}

// Ready returns nil when every system namespace has its default service account.
func (c *Controller) Ready() error {
	if err := c.watches.Err(); err != nil {
		return err
	}
	for _, namespace := range systemnamespaces.Names() {
		if _, err := c.accounts.ServiceAccounts(namespace).Get(name); err != nil {
			return errors.New("the default service account of namespace " + namespace + " is missing")
		}
	}
	return nil
}
