// Package clusterroleaggregation keeps the rules of aggregated ClusterRoles: those
// whose aggregationRule selects other ClusterRoles by label hold the rules of all
// of them.
//
// The default roles are written with their rules by
// internal/registry/rbac/bootstrap; this controller follows every change after.
package clusterroleaggregation

import (
	"context"
	"fmt"
	"log/slog"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	rbaclisters "k8s.io/client-go/listers/rbac/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/controller/queue"
)

// Config is what a Controller is made of. All fields are required.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Clock     clock.WithTicker
	Log       *slog.Logger
}

// Controller composes aggregated roles.
type Controller struct {
	config Config
	queue  *queue.Queue
	roles  rbaclisters.ClusterRoleLister
	synced cache.DoneChecker
	err    error
}

// New makes a controller. Call it before the informers are started.
func New(config Config) *Controller {
	informer := config.Informers.Rbac().V1().ClusterRoles()
	c := &Controller{config: config, queue: queue.New(config.Clock), roles: informer.Lister()}
	handle, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.changed() },
		UpdateFunc: func(_, _ any) { c.changed() },
		DeleteFunc: func(any) { c.changed() },
	})
	if err != nil {
		c.err = fmt.Errorf("watching cluster roles: %w", err)
		return c
	}
	c.synced = handle.HasSyncedChecker()
	return c
}

// changed queues every aggregated role: any change may concern any of them.
func (c *Controller) changed() {
	roles, err := c.roles.List(labels.Everything())
	if err != nil {
		return // the lister reads memory and cannot fail
	}
	for _, r := range roles {
		if r.AggregationRule != nil {
			c.queue.Add(r.Name)
		}
	}
}

// Run composes roles until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	if c.err != nil {
		return c.err
	}
	decide := reconciler{
		list: func() ([]*rbacv1.ClusterRole, error) { return c.roles.List(labels.Everything()) },
		update: func(ctx context.Context, r *rbacv1.ClusterRole) error {
			_, err := c.config.Client.RbacV1().ClusterRoles().Update(ctx, r, metav1.UpdateOptions{})
			return err
		},
	}
	if cache.WaitFor(ctx, "", c.synced) {
		c.queue.Run(ctx, 1, c.config.Log, decide.reconcile)
	}
	return nil
}
