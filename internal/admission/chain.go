// Package admission puts the admission plugins in their order.
//
// The plugins live in the packages below it, except NamespaceLifecycle, which comes
// with the API server library. Validation of objects is not admission; it lives in
// internal/registry.
package admission

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics"

	"laterna.dev/laterna/internal/admission/claimresize"
	"laterna.dev/laterna/internal/admission/defaultclass"
	"laterna.dev/laterna/internal/admission/limitranger"
	"laterna.dev/laterna/internal/admission/noderestriction"
	"laterna.dev/laterna/internal/admission/nodetaint"
	"laterna.dev/laterna/internal/admission/podidentity"
	"laterna.dev/laterna/internal/admission/podresize"
	"laterna.dev/laterna/internal/admission/podsecurity"
	"laterna.dev/laterna/internal/admission/policy"
	"laterna.dev/laterna/internal/admission/priority"
	"laterna.dev/laterna/internal/admission/resourcequota"
	"laterna.dev/laterna/internal/admission/rolloutonchange"
	"laterna.dev/laterna/internal/admission/runtimeclass"
	"laterna.dev/laterna/internal/admission/serviceaccount"
	"laterna.dev/laterna/internal/admission/tolerations"
	"laterna.dev/laterna/internal/admission/topologylabels"
	"laterna.dev/laterna/internal/admission/webhook"
	"laterna.dev/laterna/internal/clock"
)

// Config is what the plugins work with. All fields are required but those that say so.
type Config struct {
	// Client reads objects; it must pass admission without the plugins' help.
	Client kubernetes.Interface
	// Dynamic reads the parameters of policies, in the same way.
	Dynamic dynamic.Interface
	// Informers are asked for namespaces, priority classes and configurations of webhooks;
	// they are to be started afterwards. What policies need they are asked for later.
	Informers informers.SharedInformerFactory
	// Stored returns what is closed once the store has an object of a resource.
	Stored func(schema.GroupResource) <-chan struct{}
	// Authorizer decides about token audiences that no volume of a pod names, and answers
	// match conditions of webhooks.
	Authorizer authorizer.UnconditionalAuthorizer
	// Fixed tells whether the kinds of a group-version are part of the program.
	Fixed func(schema.GroupVersion) bool
	Clock clock.Wall
	// LegacyTokens lets pods mount Secrets with tokens. Optional.
	LegacyTokens bool
	// PodSecurity is what holds in namespaces that do not say. Optional.
	PodSecurity podsecurity.Settings
	// PodIdentity is how pods are given IAM roles. Optional.
	PodIdentity podidentity.Settings
	// Log is told what the file that PodIdentity names is not good for; required with one.
	Log *slog.Logger
	// CheckPatch refuses patches of webhooks that would be refused of a client.
	CheckPatch func(resource schema.GroupResource, patch []byte) error
}

// Chain is the plugins in upstream's order, and what is counted of them.
type Chain struct {
	Plugins admission.Interface
	// Metrics count once they are registered.
	Metrics []metrics.Registerable
	// Await waits until the plugins have what they decide by. The informers must have been
	// started.
	Await func(context.Context) error
	// Run does what plugins have to do beside requests, until its context ends.
	Run func(context.Context)
}

// NewChain returns the plugins.
func NewChain(c Config) (*Chain, error) {
	namespaces, err := lifecycle.NewLifecycle(sets.New(metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic))
	if err != nil {
		return nil, fmt.Errorf("making namespace lifecycle admission: %w", err)
	}
	namespaces.SetExternalKubeClientSet(c.Client)
	namespaces.SetExternalKubeInformerFactory(c.Informers)
	if err := namespaces.ValidateInitialization(); err != nil {
		return nil, fmt.Errorf("making namespace lifecycle admission: %w", err)
	}
	security, err := podsecurity.New(podsecurity.Config{Client: c.Client, Settings: c.PodSecurity})
	if err != nil {
		return nil, err
	}
	identity, err := podidentity.New(podidentity.Config{Client: c.Client, Account: serviceaccount.Read, Settings: c.PodIdentity, Log: c.Log})
	if err != nil {
		return nil, err
	}
	webhooks, err := webhook.New(webhook.Config{Client: c.Client, Informers: c.Informers, Authorizer: c.Authorizer, CheckPatch: c.CheckPatch})
	if err != nil {
		return nil, err
	}
	policies := policy.New(policy.Config{
		Client: c.Client, Dynamic: c.Dynamic, Informers: c.Informers, Authorizer: c.Authorizer, Stored: c.Stored, Fixed: c.Fixed, Wall: c.Clock,
	})
	quotas := resourcequota.New(resourcequota.Config{Client: c.Client, Informers: c.Informers, Stored: c.Stored, Wall: c.Clock})
	run := func(ctx context.Context) {
		var all sync.WaitGroup
		all.Go(func() { policies.Run(ctx) })
		all.Go(func() { quotas.Run(ctx) })
		all.Wait()
	}
	await := func(ctx context.Context) error {
		policies.Await()
		return webhooks.Await(ctx)
	}
	return &Chain{Metrics: security.Metrics(), Await: await, Run: run, Plugins: twice{admission.NewChainHandler(
		namespaces,
		limitranger.New(c.Client, c.Stored),
		serviceaccount.New(serviceaccount.Config{Client: c.Client, Clock: c.Clock, Legacy: c.LegacyTokens}),
		identity,
		noderestriction.New(noderestriction.Config{Client: c.Client, Authorizer: c.Authorizer}),
		nodetaint.New(),
		security,
		priority.New(c.Client, c.Informers.Scheduling().V1().PriorityClasses().Lister()),
		tolerations.New(),
		runtimeclass.New(c.Client),
		defaultclass.New(c.Client),
		claimresize.New(c.Client),
		topologylabels.New(c.Client),
		podresize.New(c.Client),
		rolloutonchange.New(c.Client),
		// Others see what policies and webhooks have made of an object where they validate.
		policies.Mutating,
		webhooks.Mutating,
		policies.Validating,
		webhooks.Validating,
		// Nothing refuses what has been charged.
		quotas,
	)}}, nil
}
