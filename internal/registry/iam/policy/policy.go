// Package policy owns the Policy kind of iam.laterna.dev/v1alpha1: defaults, validation,
// table and storage.
//
// The types live in api/iam/v1alpha1. What a managed policy allows is
// internal/aws/policy's to know; the IAM Query API reads and writes the same objects by
// internal/registry/iam/directory.
package policy

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
	awspolicy "laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/registry/iam/rules"
	"laterna.dev/laterna/internal/registry/resource"
)

type object = v1alpha1.Policy

// Definition describes managed policies.
func Definition() resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: v1alpha1.SchemeGroupVersion,
		Plural:       v1alpha1.Policies,
		Singular:     "policy",
		ShortNames:   []string{"iampolicy"},
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &v1alpha1.PolicyList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*object]{
			ValidName: rules.ValidName,
			PrepareCreate: func(_ context.Context, p *object) {
				p.Status = v1alpha1.PolicyStatus{PolicyID: iam.NewID(iam.PolicyPrefix), ARN: arn(p)}
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

func setDefaults(p *object) {
	rules.DefaultIdentity(p.Name, &p.Spec.Partition, &p.Spec.Account, &p.Spec.PolicyName)
	if p.Spec.Path == "" {
		p.Spec.Path = "/"
	}
}

func arn(p *object) string {
	return (&iam.Policy{Partition: p.Spec.Partition, Account: p.Spec.Account, Path: p.Spec.Path, Name: p.Spec.PolicyName}).ARN()
}

func validate(p *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Identity{
		Partition: p.Spec.Partition, Account: p.Spec.Account, Path: p.Spec.Path, AWS: true,
		Object: p.Name, Want: v1alpha1.PolicyName(p.Spec.Account, p.Spec.PolicyName),
	}.Validate(spec)
	errs = append(errs, rules.Name(p.Spec.PolicyName, iam.MaxPolicyName, spec.Child("policyName"))...)
	errs = append(errs, rules.Description(p.Spec.Description, spec.Child("description"))...)
	errs = append(errs, rules.Document(p.Spec.Document, iam.MaxPolicy, awspolicy.Identity, spec.Child("document"))...)
	return append(errs, rules.Tags(p.Spec.Tags, false, spec.Child("tags"))...)
}

func validateUpdate(p, old *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Same(p.Spec.Partition, old.Spec.Partition, spec.Child("partition"))
	errs = append(errs, rules.Same(p.Spec.Account, old.Spec.Account, spec.Child("account"))...)
	errs = append(errs, rules.Same(p.Spec.PolicyName, old.Spec.PolicyName, spec.Child("policyName"))...)
	errs = append(errs, rules.Same(p.Spec.Path, old.Spec.Path, spec.Child("path"))...)
	return append(errs, validate(p)...)
}

func columns() resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "ARN", Type: "string", Description: "ARN is the policy's name, by which it is attached."},
			resource.AgeColumn(),
		},
		Row: func(p *object) []any { return []any{p.Name, p.Status.ARN, resource.Age(p)} },
	}
}
