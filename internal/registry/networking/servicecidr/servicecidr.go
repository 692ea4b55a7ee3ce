// Package servicecidr owns the ServiceCIDR kind of networking.k8s.io/v1: validation, table
// and storage with the status subresource. An object is a range of addresses that services
// may have; internal/registry/core/service takes them from it, internal/controller/servicecidr
// says when it is ready and lets it go, internal/registry/systemobjects keeps the one that
// the system begins with.
package servicecidr

import (
	"context"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes ranges of service addresses.
func Definition() resource.Definition[*networkingv1.ServiceCIDR] {
	return resource.Definition[*networkingv1.ServiceCIDR]{
		GroupVersion: networkingv1.SchemeGroupVersion,
		Plural:       "servicecidrs",
		Singular:     "servicecidr",
		New:          func() *networkingv1.ServiceCIDR { return &networkingv1.ServiceCIDR{} },
		NewList:      func() runtime.Object { return &networkingv1.ServiceCIDRList{} },
		Rules: resource.Rules[*networkingv1.ServiceCIDR]{
			PrepareCreate: func(_ context.Context, c *networkingv1.ServiceCIDR) { c.Status = networkingv1.ServiceCIDRStatus{} },
			PrepareUpdate: func(_ context.Context, c, old *networkingv1.ServiceCIDR) { c.Status = old.Status },
			Validate:      func(_ context.Context, c *networkingv1.ServiceCIDR) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *networkingv1.ServiceCIDR) field.ErrorList {
				return validateChange(c, old)
			},
			Reset: []string{"status"},
		},
		Status: &resource.Rules[*networkingv1.ServiceCIDR]{
			PrepareUpdate: func(_ context.Context, c, old *networkingv1.ServiceCIDR) {
				c.Spec = old.Spec
				metav1.ResetObjectMetaForStatus(&c.ObjectMeta, &old.ObjectMeta)
			},
			Reset: []string{"metadata", "spec"},
		},
		Columns: columns(),
	}
}

var cidrs = field.NewPath("spec", "cidrs")

func validate(c *networkingv1.ServiceCIDR) (errs field.ErrorList) {
	all := c.Spec.CIDRs
	switch {
	case len(all) == 0:
		return field.ErrorList{field.Required(cidrs, "at least one CIDR required")}
	case len(all) > 2:
		return field.ErrorList{field.Invalid(cidrs, c.Spec, "may only hold up to 2 values")}
	}
	var fours int
	for i, cidr := range all {
		errs = append(errs, validation.IsValidCIDR(cidrs.Index(i), cidr)...)
		if p, err := netip.ParsePrefix(cidr); err == nil && p.Addr().Is4() {
			fours++
		}
	}
	if len(errs) == 0 && len(all) == 2 && fours != 1 {
		errs = append(errs, field.Invalid(cidrs, all, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))
	}
	return errs
}

// validateChange lets a range of one family get one of the other, and nothing else.
func validateChange(c, old *networkingv1.ServiceCIDR) (errs field.ErrorList) {
	was, is := old.Spec.CIDRs, c.Spec.CIDRs
	grows := len(was) == 1 && len(is) == 2
	if len(was) != len(is) && !grows {
		return field.ErrorList{field.Invalid(cidrs, is, apivalidation.FieldImmutableErrorMsg)}
	}
	for i := range was {
		if was[i] != is[i] {
			errs = append(errs, field.Invalid(cidrs.Index(i), is[i], apivalidation.FieldImmutableErrorMsg))
		}
	}
	if grows {
		errs = append(errs, validate(c)...)
	}
	return errs
}

func columns() resource.Columns[*networkingv1.ServiceCIDR] {
	return resource.Columns[*networkingv1.ServiceCIDR]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "CIDRs", Type: "string", Description: networkingv1.ServiceCIDRSpec{}.SwaggerDoc()["cidrs"]},
			resource.AgeColumn(),
		},
		Row: func(c *networkingv1.ServiceCIDR) []any {
			return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), resource.Age(c)}
		},
	}
}
