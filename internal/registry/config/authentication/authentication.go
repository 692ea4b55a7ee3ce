// Package authentication owns the Authentication kind of config.openshift.io/v1:
// validation, table and storage.
//
// The types live in api/config/v1. What follows from a change of the issuer is
// carried out by internal/controller/tokenissuer, the rules of issuers are those of
// internal/tokens/issuer.
package authentication

import (
	"context"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	configv1 "laterna.dev/laterna/api/config/v1"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/tokens/issuer"
)

type object = configv1.Authentication

// Definition describes authentications. A change of the issuer is refused where there is
// no room for it.
func Definition(room Room) resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: configv1.SchemeGroupVersion,
		Plural:       "authentications",
		Singular:     "authentication",
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &configv1.AuthenticationList{} },
		Rules: resource.Rules[*object]{
			ValidName: resource.Only(configv1.Name),
			Validate: func(ctx context.Context, a *object) field.ErrorList {
				return room.validate(ctx, a, a.Spec.ServiceAccountIssuer != "")
			},
			ValidateUpdate: func(ctx context.Context, a, old *object) field.ErrorList {
				return room.validate(ctx, a, a.Spec.ServiceAccountIssuer != old.Spec.ServiceAccountIssuer)
			},
			WarnCreate: func(_ context.Context, a *object) []string { return warn(a) },
			WarnUpdate: func(_ context.Context, a, old *object) []string {
				if a.Spec == old.Spec {
					return nil
				}
				return warn(a)
			},
		},
		Columns: resource.Columns[*object]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Issuer", Type: "string", Description: "The issuer of service account tokens that is asked for."},
				resource.AgeColumn(),
			},
			Row: func(a *object) []any { return []any{a.Name, shown(a.Spec.ServiceAccountIssuer), resource.Age(a)} },
		},
	}
}

func shown(issuer string) string {
	if issuer == "" {
		return "<default>"
	}
	return issuer
}

// validate checks an object, and whether there is room for its issuer where that is
// another one than before.
func (r Room) validate(ctx context.Context, a *object, another bool) field.ErrorList {
	errs := validate(a)
	if len(errs) > 0 || !another {
		return errs
	}
	if err := r.check(ctx, field.NewPath("spec", "serviceAccountIssuer"), a.Spec.ServiceAccountIssuer); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// maxIssuer is the length of an issuer in bytes: it is in every token.
const maxIssuer = 1024

func validate(a *object) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	if t := a.Spec.Type; t != "" && t != "None" {
		errs = append(errs, field.NotSupported(spec.Child("type"), t, []string{"", "None"}))
	}
	at, value := spec.Child("serviceAccountIssuer"), a.Spec.ServiceAccountIssuer
	if value == "" {
		return errs
	}
	if len(value) > maxIssuer {
		errs = append(errs, field.TooLong(at, "", maxIssuer))
	} else if err := issuer.Validate([]string{value}); err != nil {
		errs = append(errs, field.Invalid(at, value, err.Error()))
	} else if u, err := url.Parse(value); err == nil && u.User != nil {
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "must not hold a user or a password: the issuer is in every token"))
	}
	return errs
}

// warn tells what an issuer keeps from working, without being wrong.
func warn(a *object) []string {
	value := a.Spec.ServiceAccountIssuer
	if value == "" {
		return nil
	}
	if why := issuer.Undiscoverable(value); why != nil {
		return []string{fmt.Sprintf("spec.serviceAccountIssuer: others cannot discover this issuer, its documents are not served: %v", why)}
	}
	return nil
}
