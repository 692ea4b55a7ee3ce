// Package resourcequota keeps namespaces to their quotas: the admission plugin ResourceQuota.
//
// The library (k8s.io/apiserver) charges quotas, of which it writes the status; what objects
// use is counted in internal/registry/core/limits/usage. The plugin is made with the first
// quota. internal/controller/resourcequota counts again what objects that are gone have used.
package resourcequota

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/admission/libplugin"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/limits/usage"
)

// Config is what the plugin works with. Every field is required.
type Config struct {
	// Client reads quotas and writes their status.
	Client kubernetes.Interface
	// Informers are asked for quotas once there are some.
	Informers informers.SharedInformerFactory
	// Stored returns what is closed once the store has an object of a resource.
	Stored func(schema.GroupResource) <-chan struct{}
	Wall   clock.Wall
}

// Plugin charges quotas. It does nothing before Run. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	*libplugin.Lazy[resourcequota.QuotaAdmission]
	ended chan struct{}
}

var _ admission.ValidationInterface = &Plugin{}

// evaluators is how many namespaces are charged at once, as in Kubernetes.
const evaluators = 5

// New returns the plugin, which does nothing until there are quotas.
func New(c Config) *Plugin {
	p := &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), ended: make(chan struct{})}
	quotas := corev1.Resource("resourcequotas")
	p.Lazy = libplugin.NewLazy(quotas, c.Stored(quotas), func() (*resourcequota.QuotaAdmission, error) {
		made, err := resourcequota.NewResourceQuota(nil, evaluators)
		if err != nil {
			return nil, fmt.Errorf("making quota admission: %w", err)
		}
		made.SetDrainedNotification(p.ended)
		made.SetExternalKubeClientSet(c.Client)
		made.SetExternalKubeInformerFactory(c.Informers)
		made.SetQuotaConfiguration(generic.NewConfiguration(usage.Evaluators(nothing, c.Wall), usage.Ignored()))
		if err := made.ValidateInitialization(); err != nil {
			return nil, fmt.Errorf("making quota admission: %w", err)
		}
		c.Informers.Start(p.ended)
		return made, nil
	})
	return p
}

// nothing is counted again at admission.
func nothing(schema.GroupResource, string) ([]runtime.Object, error) { return nil, nil }

// Run has the plugin begin with the first quota, whoever stores it, until ctx ends.
func (p *Plugin) Run(ctx context.Context) {
	p.Await(ctx)
	<-ctx.Done()
	close(p.ended)
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	plugin, err := p.For(a)
	if plugin == nil {
		return err
	}
	return plugin.Validate(ctx, a, o)
}
