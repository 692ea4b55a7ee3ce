// Package ingressclass owns the IngressClass kind of networking.k8s.io/v1: defaults,
// validation, table and storage. Ingresses live in internal/registry/networking/ingress.
package ingressclass

import (
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
	"laterna.dev/laterna/internal/registry/resource"
)

type class = networkingv1.IngressClass

// Unserved is what is said of every class that is made.
const Unserved = "spec.controller: Laterna runs no ingress controller: the object is only stored, and no traffic is led by ingresses of this class unless a controller that you install does so"

// Definition describes classes of ingresses.
func Definition() resource.Definition[*class] {
	halves := resource.Halves[*class, networkingv1.IngressClassSpec, struct{}]{
		Spec: func(c *class) *networkingv1.IngressClassSpec { return &c.Spec },
	}
	rules := halves.Main(validate, func(c, old *class) field.ErrorList {
		return append(apivalidation.ValidateImmutableField(c.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller")), validate(c)...)
	})
	rules.WarnCreate = resource.OnlyStored[*class](Unserved)
	return resource.Definition[*class]{
		GroupVersion: networkingv1.SchemeGroupVersion,
		Plural:       "ingressclasses",
		Singular:     "ingressclass",
		New:          func() *class { return &class{} },
		NewList:      func() runtime.Object { return &networkingv1.IngressClassList{} },
		Default:      setDefaults,
		Rules:        rules,
		Columns:      columns(),
	}
}

// setDefaults: parameters are of the cluster.
func setDefaults(c *class) {
	if p := c.Spec.Parameters; p != nil && p.Scope == nil {
		p.Scope = new(networkingv1.IngressClassParametersReferenceScopeCluster)
	}
}

// maxController is how long the name of a controller may be.
const maxController = 250

func validate(c *class) field.ErrorList {
	spec := field.NewPath("spec")
	at, name := spec.Child("controller"), c.Spec.Controller
	errs := check.Required(name, at)
	if name != "" {
		if len(name) > maxController {
			errs = append(errs, field.TooLong(at, "", maxController))
		}
		errs = append(errs, validation.IsDomainPrefixedPath(at, name)...)
	}
	if c.Spec.Parameters != nil {
		errs = append(errs, validateParameters(c.Spec.Parameters, spec.Child("parameters"))...)
	}
	return errs
}

func validateParameters(p *networkingv1.IngressClassParametersReference, at *field.Path) field.ErrorList {
	errs := check.SubdomainIfSet(p.APIGroup, at.Child("apiGroup"))
	errs = append(errs, check.Referent(p.Kind, p.Name, at)...)
	if p.Scope == nil {
		return append(errs, field.Required(at.Child("scope"), ""))
	}
	namespace := at.Child("namespace")
	switch *p.Scope {
	case networkingv1.IngressClassParametersReferenceScopeNamespace:
		if p.Namespace == nil {
			return append(errs, field.Required(namespace, "`parameters.scope` is set to 'Namespace'"))
		}
		return append(errs, check.Messages(apivalidation.ValidateNamespaceName(*p.Namespace, false), *p.Namespace, namespace)...)
	case networkingv1.IngressClassParametersReferenceScopeCluster:
		if p.Namespace != nil {
			errs = append(errs, field.Forbidden(namespace, "`parameters.scope` is set to 'Cluster'"))
		}
		return errs
	}
	return append(errs, field.NotSupported(at.Child("scope"), *p.Scope, []string{
		networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace}))
}

func columns() resource.Columns[*class] {
	return resource.Columns[*class]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Controller", Type: "string", Description: "Controller that is responsible for handling this class"},
			{Name: "Parameters", Type: "string", Description: "A reference to a resource with additional parameters"},
			resource.AgeColumn(),
		},
		Row: func(c *class) []any {
			return []any{c.Name, c.Spec.Controller, parameters(c.Spec.Parameters), resource.Age(c)}
		},
	}
}

func parameters(p *networkingv1.IngressClassParametersReference) string {
	switch {
	case p == nil:
		return "<none>"
	case p.APIGroup != nil:
		return p.Kind + "." + *p.APIGroup + "/" + p.Name
	}
	return p.Kind + "/" + p.Name
}
