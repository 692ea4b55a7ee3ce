// Package webhook asks webhooks about requests: the admission plugins
// MutatingAdmissionWebhook and ValidatingAdmissionWebhook.
//
// Whom to ask, in which order, and what their answers mean is decided by the library
// (k8s.io/apiserver). This package makes its plugins when there is the first configuration
// (plugin.go): they take time and memory that nobody without webhooks should pay. It finds
// who answers for a service (endpoints.go), bounds what may come back (transport.go) and
// says what to do about a webhook that fails (hint.go). Configurations themselves are
// internal/registry/admissionregistration/webhookconfiguration's.
package webhook

import (
	"context"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/generic"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/admission/libplugin"
)

// Config is what the plugins work with. Every field is required.
type Config struct {
	// Client reads namespaces, services and their endpoints; it must ask no webhook.
	Client kubernetes.Interface
	// Informers are asked for namespaces and configurations; they are to be started
	// afterwards.
	Informers informers.SharedInformerFactory
	// Authorizer answers what match conditions ask.
	Authorizer authorizer.UnconditionalAuthorizer
	// CheckPatch refuses JSON patches of a resource that would be refused of a client.
	CheckPatch func(resource schema.GroupResource, patch []byte) error
}

// Plugins are the two plugins.
type Plugins struct {
	Mutating   *Mutating
	Validating *Validating
	synced     []cache.DoneChecker
}

// operations are those that webhooks are asked about.
var operations = []admission.Operation{admission.Connect, admission.Create, admission.Delete, admission.Update}

// New returns the plugins, which ask nobody until there are configurations.
func New(c Config) (*Plugins, error) {
	configurations := c.Informers.Admissionregistration().V1()
	changing, refusing := configurations.MutatingWebhookConfigurations(), configurations.ValidatingWebhookConfigurations()
	p := &Plugins{
		Mutating: &Mutating{admission.NewHandler(operations...), lazy[*mutating.Plugin]{
			make: func() (*mutating.Plugin, error) {
				plugin, err := mutating.NewMutatingWebhook(nil)
				if err != nil {
					return nil, err
				}
				return plugin, c.prepare(plugin.Webhook)
			},
			hint: hint{"MutatingWebhookConfiguration", "mutatingwebhookconfigurations", func(webhook string) string {
				all, err := changing.Lister().List(labels.Everything())
				return mutatingOf(all, err, webhook)
			}},
		}},
		Validating: &Validating{admission.NewHandler(operations...), lazy[*validating.Plugin]{
			make: func() (*validating.Plugin, error) {
				plugin, err := validating.NewValidatingAdmissionWebhook(nil)
				if err != nil {
					return nil, err
				}
				return plugin, c.prepare(plugin.Webhook)
			},
			hint: hint{"ValidatingWebhookConfiguration", "validatingwebhookconfigurations", func(webhook string) string {
				all, err := refusing.Lister().List(labels.Everything())
				return validatingOf(all, err, webhook)
			}},
		}},
	}
	for informer, seen := range map[cache.SharedIndexInformer]func(any){
		changing.Informer(): p.Mutating.seen, refusing.Informer(): p.Validating.seen,
	} {
		handle, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: seen})
		if err != nil {
			return nil, fmt.Errorf("watching webhook configurations: %w", err)
		}
		p.synced = append(p.synced, handle.HasSyncedChecker())
	}
	return p, nil
}

// Await waits until the plugins know the configurations that there are, and for a while
// until they are ready: one that is not waits, and refuses, request by request.
func (p *Plugins) Await(ctx context.Context) error {
	if !cache.WaitFor(ctx, "", p.synced...) {
		return fmt.Errorf("waiting for webhook configurations: %w", context.Cause(ctx))
	}
	if plugin, ask, _ := p.Mutating.plugin(); ask {
		plugin.WaitForReady()
	}
	if plugin, ask, _ := p.Validating.plugin(); ask {
		plugin.WaitForReady()
	}
	return nil
}

// prepare gives a plugin of the library what it works with. It is ready once its caches are
// filled.
func (c Config) prepare(w *generic.Webhook) error {
	w.SetExternalKubeClientSet(c.Client)
	w.SetExternalKubeInformerFactory(c.Informers)
	w.SetUnconditionalAuthorizer(c.Authorizer)
	w.SetExcludedAdmissionResources(libplugin.Reviews())
	w.InspectFeatureGates(feature.DefaultFeatureGate)
	w.SetServiceResolver(unresolved{})
	w.SetAuthenticationInfoResolverWrapper(c.connections)
	if err := w.ValidateInitialization(); err != nil {
		return fmt.Errorf("making webhook admission: %w", err)
	}
	return nil
}

// lazy is a plugin of the library that is made once there is a configuration for it.
type lazy[P any] struct {
	make func() (P, error)
	made atomic.Pointer[result[P]]
	hint hint
}

type result[P any] struct {
	plugin P
	err    error
}

// seen makes the plugin, unless it is made. An informer calls it from one goroutine.
func (l *lazy[P]) seen(any) {
	if r := l.made.Load(); r != nil && r.err == nil {
		return
	}
	plugin, err := l.make()
	l.made.Store(&result[P]{plugin, err})
}

// plugin returns the plugin, and whether there is anything to ask it. Where it could not be
// made nothing is let through.
func (l *lazy[P]) plugin() (plugin P, ask bool, err error) {
	r := l.made.Load()
	if r == nil {
		return plugin, false, nil
	}
	if r.err != nil {
		return plugin, false, apierrors.NewInternalError(r.err)
	}
	return r.plugin, true, nil
}

// Mutating is the plugin MutatingAdmissionWebhook.
type Mutating struct {
	*admission.Handler
	lazy[*mutating.Plugin]
}

var _ admission.MutationInterface = &Mutating{}

// Admit implements admission.MutationInterface.
func (m *Mutating) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	plugin, ask, err := m.plugin()
	if !ask {
		return err
	}
	return m.hint.to(plugin.Admit(ctx, a, libplugin.Interfaces(o)))
}

// Validating is the plugin ValidatingAdmissionWebhook.
type Validating struct {
	*admission.Handler
	lazy[*validating.Plugin]
}

var _ admission.ValidationInterface = &Validating{}

// Validate implements admission.ValidationInterface.
func (v *Validating) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	plugin, ask, err := v.plugin()
	if !ask {
		return err
	}
	return v.hint.to(plugin.Validate(ctx, a, libplugin.Interfaces(o)))
}
