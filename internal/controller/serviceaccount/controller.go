// Package serviceaccount gives every active namespace its service account
// `default`, again when it is deleted.
//
// What happens to a pod that names no account is decided in
// internal/admission/serviceaccount.
package serviceaccount

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/controller/systemnamespaces"
)

// Name is the controller's, upstream's for it.
const Name = "service-account-controller"

// workers is how many accounts are created at a time; at the start all system
// namespaces want theirs at once.
const workers = 4

// Controller makes default service accounts.
type Controller struct {
	loop     *run.Loop
	queue    *queue.Queue
	accounts corelisters.ServiceAccountLister
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	core := e.Informers.Core().V1()
	namespaces, accounts := core.Namespaces(), core.ServiceAccounts()
	c := &Controller{loop: run.New(e, "for default service accounts"), accounts: accounts.Lister()}
	decide := reconciler{
		namespace: namespaces.Lister().Get,
		account: func(namespace string) (*corev1.ServiceAccount, error) {
			return c.accounts.ServiceAccounts(namespace).Get(name)
		},
		create: func(ctx context.Context, sa *corev1.ServiceAccount) error {
			_, err := e.Client.CoreV1().ServiceAccounts(sa.Namespace).Create(ctx, sa, metav1.CreateOptions{})
			return err
		},
	}
	c.queue = c.loop.Queue(workers, decide.reconcile)
	c.loop.Watch(namespaces.Informer(), run.Present(c.queue.AddObject))
	c.loop.Watch(accounts.Informer(), cache.ResourceEventHandlerFuncs{DeleteFunc: c.accountDeleted})
	return c
}

func (c *Controller) accountDeleted(obj any) {
	if account, ok := run.NameOf(obj); ok && account.Name == name {
		c.queue.Add(account.Namespace)
	}
}

// Run makes accounts until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// Ready returns nil when every system namespace has its default service account.
func (c *Controller) Ready() error {
	if err := c.loop.Err(); err != nil {
		return err
	}
	for _, namespace := range systemnamespaces.Names() {
		if _, err := c.accounts.ServiceAccounts(namespace).Get(name); err != nil {
			return errors.New("the default service account of namespace " + namespace + " is missing")
		}
	}
	return nil
}
