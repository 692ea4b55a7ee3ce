// Package clusterroleaggregation keeps the rules of aggregated ClusterRoles: those
// whose aggregationRule selects other ClusterRoles by label hold the rules of all
// of them.
//
// The default roles are written with their rules by
// internal/registry/rbac/bootstrap; this controller follows every change after.
package clusterroleaggregation

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	rbaclisters "k8s.io/client-go/listers/rbac/v1"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's, upstream's for it.
const Name = "clusterrole-aggregation-controller"

// Controller composes aggregated roles.
type Controller struct {
	loop  *run.Loop
	queue *queue.Queue
	roles rbaclisters.ClusterRoleLister
}

// New makes a controller. Call it before the informers are started.
func New(e env.Env) *Controller {
	roles := e.Informers.Rbac().V1().ClusterRoles()
	c := &Controller{loop: run.New(e, "cluster roles"), roles: roles.Lister()}
	decide := reconciler{
		list:   func() ([]*rbacv1.ClusterRole, error) { return c.roles.List(labels.Everything()) },
		update: run.Commits(e, e.Client.RbacV1().ClusterRoles().Update),
	}
	c.queue = c.loop.Queue(1, decide.reconcile)
	c.loop.Watch(roles.Informer(), run.Handlers(func(any) { c.changed() }))
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
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }
