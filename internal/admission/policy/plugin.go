// Package policy applies admission policies to requests: the admission plugins
// MutatingAdmissionPolicy and ValidatingAdmissionPolicy.
//
// Which policies are about a request and what they make of it is decided by the library
// (k8s.io/apiserver). This package makes its plugins when there is the first binding
// (libplugin.Lazy), before the request that creates it is answered: they take time and memory that
// nobody without policies should pay, and a policy that nothing binds does nothing. Policies
// and bindings themselves are internal/registry/admissionregistration/admissionpolicy's,
// what is said of their types internal/controller/policystatus's.
package policy

import (
	"context"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/admission/libplugin"
	"laterna.dev/laterna/internal/clock"
)

// Config is what the plugins work with. Every field is required.
type Config struct {
	// Client reads namespaces, policies, bindings and schemas, Dynamic parameters; no policy
	// must be asked about what they do.
	Client  kubernetes.Interface
	Dynamic dynamic.Interface
	// Informers are asked for namespaces at once, and for policies, bindings and parameters
	// once there are some.
	Informers informers.SharedInformerFactory
	// Authorizer answers what expressions ask.
	Authorizer authorizer.UnconditionalAuthorizer
	// Stored returns what is closed once the store has an object of a resource.
	Stored func(schema.GroupResource) <-chan struct{}
	// Fixed tells whether the kinds of a group-version are part of the program.
	Fixed func(schema.GroupVersion) bool
	Wall  clock.Wall
}

// Plugins are the two plugins. They apply nothing before Run.
type Plugins struct {
	Mutating   *Mutating
	Validating *Validating
	ended      chan struct{}
}

// New returns the plugins, which do nothing until there are bindings.
func New(c Config) *Plugins {
	p := &Plugins{ended: make(chan struct{})}
	c.Informers = libplugin.Lasting(c.Informers, p.ended)
	c.Informers.Core().V1().Namespaces().Informer()
	p.Mutating = &Mutating{
		admission.NewHandler(admission.Create, admission.Update, admission.Connect),
		newLazy(c, "mutatingadmissionpolicybindings", func() (*mutating.Plugin, error) {
			plugin, err := mutating.NewPlugin(nil)
			if err != nil {
				return nil, err
			}
			plugin.InspectFeatureGates(feature.DefaultFeatureGate)
			c.Client = described{c.Client, schemas{p.ended, c.Client.Discovery(), c.Fixed, c.Wall}}
			return plugin, prepare(c, plugin.Plugin, p.ended)
		}),
	}
	p.Validating = &Validating{
		admission.NewHandler(admission.Connect, admission.Create, admission.Delete, admission.Update),
		newLazy(c, "validatingadmissionpolicybindings", func() (*validating.Plugin, error) {
			plugin, err := validating.NewPlugin(nil)
			if err != nil {
				return nil, err
			}
			return plugin, prepare(c, plugin.Plugin, p.ended)
		}),
	}
	return p
}

// prepare gives a plugin of the library what it works with, and lets it begin.
func prepare[H any](c Config, p *generic.Plugin[H], ended <-chan struct{}) error {
	p.SetExternalKubeClientSet(c.Client)
	p.SetDynamicClient(c.Dynamic)
	p.SetExternalKubeInformerFactory(c.Informers)
	p.SetRESTMapper(newMapper(c.Client.Discovery()))
	p.SetUnconditionalAuthorizer(c.Authorizer)
	p.SetExcludedAdmissionResources(libplugin.Reviews())
	p.SetDrainedNotification(ended)
	if err := p.ValidateInitialization(); err != nil {
		return err
	}
	c.Informers.Start(ended)
	return nil
}

// Run has the plugins begin with the first binding, whoever stores it, until ctx ends.
func (p *Plugins) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { p.Mutating.Await(ctx) })
	all.Go(func() { p.Validating.Await(ctx) })
	all.Wait()
	<-ctx.Done()
	close(p.ended)
}

// Await waits for a while until plugins that have bindings are ready: one that is not waits,
// and refuses, request by request.
func (p *Plugins) Await() {
	if plugin := p.Mutating.Now(); plugin != nil {
		plugin.WaitForReady()
	}
	if plugin := p.Validating.Now(); plugin != nil {
		plugin.WaitForReady()
	}
}

// Mutating is the plugin MutatingAdmissionPolicy.
type Mutating struct {
	*admission.Handler
	*libplugin.Lazy[mutating.Plugin]
}

// Validating is the plugin ValidatingAdmissionPolicy.
type Validating struct {
	*admission.Handler
	*libplugin.Lazy[validating.Plugin]
}

var (
	_ admission.MutationInterface   = &Mutating{}
	_ admission.ValidationInterface = &Validating{}
)

// Admit implements admission.MutationInterface.
func (m *Mutating) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	plugin, err := m.For(a)
	if plugin == nil {
		return err
	}
	return plugin.Admit(ctx, a, libplugin.Interfaces(o))
}

// Validate implements admission.ValidationInterface.
func (v *Validating) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	plugin, err := v.For(a)
	if plugin == nil {
		return err
	}
	return plugin.Validate(ctx, a, libplugin.Interfaces(o))
}

// newLazy returns a plugin that is made with the first binding.
func newLazy[P any](c Config, bindings string, make func() (*P, error)) *libplugin.Lazy[P] {
	of := admissionregistrationv1.Resource(bindings)
	return libplugin.NewLazy(of, c.Stored(of), make)
}
