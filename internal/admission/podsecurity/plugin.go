// Package podsecurity says of new pods that the Pod Security labels of their namespace
// keep none of them out: the module that would judge them is not there. The warning of
// the labels themselves is internal/registry/core/namespace's.
package podsecurity

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	corelisters "k8s.io/client-go/listers/core/v1"

	"laterna.dev/laterna/internal/registry/core/namespace"
)

// Plugin warns. Its methods may be called concurrently.
type Plugin struct {
	*admission.Handler
	namespaces corelisters.NamespaceLister
}

var _ admission.MutationInterface = &Plugin{}

// New returns the plugin, which looks for labels in namespaces.
func New(namespaces corelisters.NamespaceLister) *Plugin {
	return &Plugin{admission.NewHandler(admission.Create), namespaces}
}

// Admit implements admission.MutationInterface; it changes and refuses nothing.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	n, err := p.namespaces.Get(a.GetNamespace())
	if err != nil {
		return nil // nothing is known of its labels
	}
	for _, l := range namespace.SecurityLabels(n.Labels) {
		warning.AddWarning(ctx, "", fmt.Sprintf("namespace %s has the label %s: it is not honoured by Laterna, and the pod was not checked", n.Name, l))
	}
	return nil
}
