package apiserver

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/admission"
	"laterna.dev/laterna/internal/admission/webhook"
	"laterna.dev/laterna/internal/authz"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/authz/rbac"
	"laterna.dev/laterna/internal/registry/precheck"
	registryrbac "laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
)

// access decides what may be done. It reads objects as a client of the loopback,
// which asks nobody.
type access struct {
	client    kubernetes.Interface
	informers informers.SharedInformerFactory
	roles     *rbac.Authorizer
	all       authorizer.Authorizer
	rules     authorizer.RuleResolver
	admission *admission.Chain
	// conversions are how webhooks are called that convert custom resources.
	conversions webhook.Conversions
}

func newAccess(l *loopback, c Config, checks []precheck.Check, stored func(schema.GroupResource) <-chan struct{}) (*access, error) {
	config := l.config(process, nil)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("building loopback client: %w", err)
	}
	parameters, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("building loopback client: %w", err)
	}
	a := &access{
		client:    client,
		informers: informers.NewSharedInformerFactory(client, 0),
		roles:     rbac.New(),

		conversions: webhook.NewConversions(client),
	}
	nodes, err := node.New(node.Config{
		Pods:   a.informers.Core().V1().Pods().Informer(),
		Client: client,
		Rules:  bootstrap.NodeRules(c.Kinds.Grants()),
		Kinds:  c.Kinds.NodeAccess(),
		Clock:  c.Wall,

		TokenAudiences: c.Kubelets.TokenAudiences,
	})
	if err != nil {
		return nil, err
	}
	if a.all, a.rules, err = authz.New(nodes, a.roles); err != nil {
		return nil, err
	}
	a.admission, err = admission.NewChain(admission.Config{
		Client:       client,
		Dynamic:      parameters,
		Informers:    a.informers,
		Stored:       stored,
		Fixed:        c.Kinds.Has,
		Authorizer:   a.all,
		Clock:        c.Wall,
		LegacyTokens: c.Tokens.Legacy,
		PodSecurity:  c.PodSecurity,
		PodIdentity:  c.PodIdentity,
		Log:          c.Log,
		CheckPatch:   patchCheck(checks),
	})
	return a, err
}

// patchCheck has patches that webhooks answer with pass what patches of clients must pass.
func patchCheck(checks []precheck.Check) func(schema.GroupResource, []byte) error {
	return func(r schema.GroupResource, patch []byte) error {
		for _, check := range checks {
			if err := check(&request.RequestInfo{APIGroup: r.Group, Resource: r.Resource}, string(types.JSONPatchType), patch); err != nil {
				return err
			}
		}
		return nil
	}
}

// guard is what the storages of roles and bindings ask before a write.
func (a *access) guard() registryrbac.Access {
	return registryrbac.Access{Authorizer: a.all, Rules: a.roles, View: a.roles}
}

// run keeps what decisions are made from up to date until ctx ends.
func (a *access) run(ctx context.Context) {
	var plugins sync.WaitGroup
	plugins.Go(func() { a.admission.Run(ctx) })
	a.informers.StartWithContext(ctx)
	a.roles.Run(ctx, a.client)
	plugins.Wait()
	a.informers.Shutdown()
}

// await waits until decisions can be made. run must have been called.
func (a *access) await(ctx context.Context) error {
	select {
	case <-a.roles.Synced():
	case <-ctx.Done():
		return fmt.Errorf("waiting for roles: %w", context.Cause(ctx))
	}
	if err := a.informers.WaitForCacheSyncWithContext(ctx).AsError(); err != nil {
		return fmt.Errorf("waiting for namespaces and pods: %w", err)
	}
	return a.admission.Await(ctx)
}

// bootstrapRoles writes the default roles and bindings into storage, which holds
// those of rbac.authorization.k8s.io by path.
func bootstrapRoles(storage map[string]rest.Storage, o bootstrap.Options) func(context.Context) error {
	return func(ctx context.Context) error { return bootstrap.Reconcile(ctx, storage, o) }
}
