// Package ipaddress owns the IPAddress kind of networking.k8s.io/v1: validation, table and
// storage. An object says to whom an address belongs; those of services are made, kept and
// removed by internal/registry/core/service, which hands the addresses out.
package ipaddress

import (
	"context"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes addresses.
func Definition() resource.Definition[*networkingv1.IPAddress] {
	return resource.Definition[*networkingv1.IPAddress]{
		GroupVersion: networkingv1.SchemeGroupVersion,
		Plural:       "ipaddresses",
		Singular:     "ipaddress",
		ShortNames:   []string{"ip"},
		New:          func() *networkingv1.IPAddress { return &networkingv1.IPAddress{} },
		NewList:      func() runtime.Object { return &networkingv1.IPAddressList{} },
		Rules: resource.Rules[*networkingv1.IPAddress]{
			ValidName: validName,
			Validate:  func(_ context.Context, a *networkingv1.IPAddress) field.ErrorList { return validate(a) },
			ValidateUpdate: func(_ context.Context, a, old *networkingv1.IPAddress) field.ErrorList {
				at := field.NewPath("spec", "parentRef")
				return append(validate(a), apivalidation.ValidateImmutableField(a.Spec.ParentRef, old.Spec.ParentRef, at)...)
			},
		},
		Columns: columns(),
	}
}

// validName wants an address in its canonical form: there is one object of it at most.
func validName(name string, _ bool) (msgs []string) {
	for _, err := range validation.IsValidIP(&field.Path{}, name) {
		msgs = append(msgs, err.Detail)
	}
	return msgs
}

func validate(a *networkingv1.IPAddress) (errs field.ErrorList) {
	at, parent := field.NewPath("spec", "parentRef"), a.Spec.ParentRef
	if parent == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	if parent.Group != "" { // that of services is empty
		for _, msg := range validation.IsDNS1123Subdomain(parent.Group) {
			errs = append(errs, field.Invalid(at.Child("group"), parent.Group, msg))
		}
	}
	for _, part := range []struct {
		name, value string
		required    bool
	}{{"resource", parent.Resource, true}, {"name", parent.Name, true}, {"namespace", parent.Namespace, false}} {
		if part.value == "" {
			if part.required {
				errs = append(errs, field.Required(at.Child(part.name), ""))
			}
			continue
		}
		for _, msg := range content.IsPathSegmentName(part.value) {
			errs = append(errs, field.Invalid(at.Child(part.name), part.value, msg))
		}
	}
	return errs
}

func columns() resource.Columns[*networkingv1.IPAddress] {
	return resource.Columns[*networkingv1.IPAddress]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "ParentRef", Type: "string", Description: networkingv1.IPAddressSpec{}.SwaggerDoc()["parentRef"]},
			resource.AgeColumn(),
		},
		Row: func(a *networkingv1.IPAddress) []any {
			return []any{a.Name, parentName(a.Spec.ParentRef), resource.Age(a)}
		},
	}
}

// parentName is resource.group/namespace/name.
func parentName(parent *networkingv1.ParentReference) string {
	if parent == nil {
		return "<none>"
	}
	parts := []string{strings.ToLower(schema.GroupResource{Group: parent.Group, Resource: parent.Resource}.String())}
	if parent.Namespace != "" {
		parts = append(parts, parent.Namespace)
	}
	return strings.Join(append(parts, parent.Name), "/")
}
