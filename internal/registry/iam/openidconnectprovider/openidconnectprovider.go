// Package openidconnectprovider owns the OpenIDConnectProvider kind of
// iam.laterna.dev/v1alpha1: defaults, validation, table and storage.
//
// The types live in api/iam/v1alpha1. Tokens of the issuer are checked by
// internal/aws/sts; the IAM Query API reads and writes the same objects by
// internal/registry/iam/directory.
package openidconnectprovider

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/iam/rules"
	"laterna.dev/laterna/internal/registry/resource"
)

type object = v1alpha1.OpenIDConnectProvider

const https = "https://"

// Definition describes providers. wall tells when they were made.
func Definition(wall clock.Wall) resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: v1alpha1.SchemeGroupVersion,
		Plural:       v1alpha1.OpenIDConnectProviders,
		Singular:     "openidconnectprovider",
		ShortNames:   []string{"oidcprovider"},
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &v1alpha1.OpenIDConnectProviderList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*object]{
			ValidName: rules.ValidName,
			PrepareCreate: func(_ context.Context, p *object) {
				created := metav1.NewMicroTime(wall.Now().UTC().Truncate(time.Millisecond))
				p.Status = v1alpha1.OpenIDConnectProviderStatus{ARN: arn(p), CreateDate: &created}
			},
			PrepareUpdate:  func(_ context.Context, p, old *object) { p.Status = old.Status },
			Validate:       func(_ context.Context, p *object) field.ErrorList { return validate(p) },
			ValidateUpdate: func(_ context.Context, p, old *object) field.ErrorList { return validateUpdate(p, old) },
			Reset:          []string{"status"},
			Dependents:     rest.Unsupported,
		},
		Columns: columns(),
	}
}

// setDefaults fills in what the name says, and brings the URL and thumbprints into the
// one form in which they are compared.
func setDefaults(p *object) {
	if url := ""; p.Spec.URL == "" {
		rules.DefaultIdentity(p.Name, &p.Spec.Partition, &p.Spec.Account, &url)
		if url != "" {
			p.Spec.URL = https + iam.IssuerOf(url)
		}
	} else {
		rules.DefaultIdentity(p.Name, &p.Spec.Partition, &p.Spec.Account, &url)
	}
	if issuer, err := iam.Issuer(p.Spec.URL); err == nil {
		p.Spec.URL = https + issuer
	}
	for i, t := range p.Spec.Thumbprints {
		p.Spec.Thumbprints[i] = strings.ToLower(t)
	}
}

func arn(p *object) string {
	return (&iam.Provider{Partition: p.Spec.Partition, Account: p.Spec.Account, URL: strings.TrimPrefix(p.Spec.URL, https)}).ARN()
}

func validate(p *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Identity{
		Partition: p.Spec.Partition, Account: p.Spec.Account, Path: "/",
		Object: p.Name, Want: v1alpha1.ProviderName(p.Spec.Account, p.Spec.URL),
	}.Validate(spec)
	if p.Spec.URL == "" {
		errs = append(errs, field.Required(spec.Child("url"), ""))
	} else if len(p.Spec.URL) > iam.MaxURL {
		errs = append(errs, field.TooLong(spec.Child("url"), p.Spec.URL, iam.MaxURL))
	} else if _, err := iam.Issuer(p.Spec.URL); err != nil {
		errs = append(errs, field.Invalid(spec.Child("url"), p.Spec.URL, err.Error()))
	}
	errs = append(errs, validateClientIDs(p.Spec.ClientIDs, spec.Child("clientIDs"))...)
	errs = append(errs, validateThumbprints(p.Spec.Thumbprints, spec.Child("thumbprints"))...)
	return append(errs, rules.Tags(p.Spec.Tags, false, spec.Child("tags"))...)
}

func validateClientIDs(ids []string, p *field.Path) field.ErrorList {
	if len(ids) > iam.MaxClientIDs {
		return field.ErrorList{field.TooMany(p, len(ids), iam.MaxClientIDs)}
	}
	var errs field.ErrorList
	for i, id := range ids {
		switch {
		case id == "":
			errs = append(errs, field.Required(p.Index(i), ""))
		case len(id) > iam.MaxClientID:
			errs = append(errs, field.TooLong(p.Index(i), id, iam.MaxClientID))
		case slices.Contains(ids[:i], id):
			errs = append(errs, field.Duplicate(p.Index(i), id))
		}
	}
	return errs
}

func validateThumbprints(prints []string, p *field.Path) field.ErrorList {
	if len(prints) > iam.MaxThumbprints {
		return field.ErrorList{field.TooMany(p, len(prints), iam.MaxThumbprints)}
	}
	var errs field.ErrorList
	for i, t := range prints {
		if len(t) != iam.ThumbprintLength {
			errs = append(errs, field.Invalid(p.Index(i), t, "must have 40 characters: the SHA-1 digest of a certificate"))
		}
	}
	return errs
}

func validateUpdate(p, old *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Same(p.Spec.Partition, old.Spec.Partition, spec.Child("partition"))
	errs = append(errs, rules.Same(p.Spec.Account, old.Spec.Account, spec.Child("account"))...)
	errs = append(errs, rules.Same(p.Spec.URL, old.Spec.URL, spec.Child("url"))...)
	return append(errs, validate(p)...)
}

func columns() resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Account", Type: "string", Description: "Account is that which the provider belongs to."},
			{Name: "URL", Type: "string", Description: "URL is the issuer of tokens."},
			{Name: "Client-IDs", Type: "string", Description: "Client-IDs are the audiences that are accepted."},
			resource.AgeColumn(),
			{Name: "ARN", Type: "string", Priority: 1, Description: "ARN is the provider's name in trust policies."},
		},
		Row: func(p *object) []any {
			return []any{p.Name, p.Spec.Account, p.Spec.URL, strings.Join(p.Spec.ClientIDs, ","), resource.Age(p), p.Status.ARN}
		},
	}
}
