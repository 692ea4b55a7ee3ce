// Package policystatus checks the types of the expressions of ValidatingAdmissionPolicies and
// writes what it finds into their status.
//
// How types are checked is the library's (k8s.io/apiserver); this package finds the schemas
// (schemas.go). What a policy does to requests is internal/admission/policy's, whatever
// stands in its status.
package policystatus

import (
	"context"
	"fmt"

	v1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/client-go/discovery/cached/memory"
	informers "k8s.io/client-go/informers/admissionregistration/v1"
	listers "k8s.io/client-go/listers/admissionregistration/v1"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/queue"
	"laterna.dev/laterna/internal/controller/run"
)

// Name is the controller's, upstream's for its service account.
const Name = "validatingadmissionpolicy-status-controller"

// Controller checks the types of policies.
type Controller struct {
	loop     *run.Loop
	queue    *queue.Queue
	policies listers.ValidatingAdmissionPolicyLister
	check    func(context.Context, *v1.ValidatingAdmissionPolicy) []v1.ExpressionWarning
	write    run.Commit[*v1.ValidatingAdmissionPolicy]
}

// New makes a controller.
func New(c env.Env) *Controller {
	client := c.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	informer := informers.NewValidatingAdmissionPolicyInformer(c.Client, 0, cache.Indexers{})
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Client.Discovery()))
	of := &Controller{
		loop: run.New(c, "admission policies"), policies: listers.NewValidatingAdmissionPolicyLister(informer.GetIndexer()),
		check: func(ctx context.Context, p *v1.ValidatingAdmissionPolicy) []v1.ExpressionWarning {
			types := validating.TypeChecker{SchemaResolver: schemas{ctx, c.Client.Discovery().RESTClient()}, RestMapper: mapper}
			return types.Check(p)
		},
		write: run.Commits(c, client.UpdateStatus),
	}
	of.queue = of.loop.Queue(1, of.reconcile)
	of.loop.WatchOwn(informer, run.Present(of.queue.AddObject))
	return of
}

// Run checks policies until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return c.loop.Run(ctx) }

// reconcile checks a policy unless what it says has been checked.
func (c *Controller) reconcile(ctx context.Context, name string) error {
	policy, err := c.policies.Get(name)
	if apierrors.IsNotFound(err) || err == nil && policy.Status.ObservedGeneration >= policy.Generation {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading policy: %w", err)
	}
	checked := policy.DeepCopy()
	checked.Status.ObservedGeneration = policy.Generation
	checked.Status.TypeChecking = &v1.TypeChecking{ExpressionWarnings: c.check(ctx, policy)}
	if _, err := c.write(ctx, policy, checked); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("writing status of policy: %w", err)
	}
	return nil
}
