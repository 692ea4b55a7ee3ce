// Package role owns the Role kind of iam.laterna.dev/v1alpha1: defaults, validation, table
// and storage.
//
// The types live in api/iam/v1alpha1. What the policies of a role allow is
// internal/aws/policy's to know, who may assume it is decided by internal/aws/sts; the IAM
// Query API reads and writes the same objects by internal/registry/iam/directory.
package role

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/registry/iam/rules"
	"laterna.dev/laterna/internal/registry/resource"
)

type object = v1alpha1.Role

// Definition describes roles.
func Definition(ids IDs) resource.Definition[*object] {
	return resource.Definition[*object]{
		GroupVersion: v1alpha1.SchemeGroupVersion,
		Plural:       v1alpha1.Roles,
		Singular:     "role",
		ShortNames:   []string{"iamrole", "iamroles"},
		New:          func() *object { return &object{} },
		NewList:      func() runtime.Object { return &v1alpha1.RoleList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*object]{
			ValidName: rules.ValidName,
			PrepareCreate: func(ctx context.Context, r *object) {
				r.Status = v1alpha1.RoleStatus{RoleID: iam.NewID(iam.RolePrefix), ARN: arn(r)}
				r.Status.Principals = principals(ctx, r.Spec.AssumeRolePolicyDocument, ids)
			},
			PrepareUpdate: func(ctx context.Context, r, old *object) {
				r.Status = old.Status
				if r.Spec.AssumeRolePolicyDocument != old.Spec.AssumeRolePolicyDocument {
					r.Status.Principals = principals(ctx, r.Spec.AssumeRolePolicyDocument, ids)
				}
			},
			Validate:       func(_ context.Context, r *object) field.ErrorList { return validate(r) },
			ValidateUpdate: func(_ context.Context, r, old *object) field.ErrorList { return validateUpdate(r, old) },
			Reset:          []string{"status"},
			Dependents:     rest.Unsupported,
		},
		Columns: columns(),
	}
}

func setDefaults(r *object) {
	rules.DefaultIdentity(r.Name, &r.Spec.Partition, &r.Spec.Account, &r.Spec.RoleName)
	if r.Spec.Path == "" {
		r.Spec.Path = "/"
	}
	if r.Spec.MaxSessionDuration == 0 {
		r.Spec.MaxSessionDuration = int32(iam.LeastMaxSession.Seconds())
	}
}

func arn(r *object) string {
	return (&iam.Role{Partition: r.Spec.Partition, Account: r.Spec.Account, Path: r.Spec.Path, Name: r.Spec.RoleName}).ARN()
}

func validate(r *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Identity{
		Partition: r.Spec.Partition, Account: r.Spec.Account, Path: r.Spec.Path,
		Object: r.Name, Want: v1alpha1.RoleName(r.Spec.Account, r.Spec.RoleName),
	}.Validate(spec)
	errs = append(errs, rules.Name(r.Spec.RoleName, iam.MaxRoleName, spec.Child("roleName"))...)
	errs = append(errs, rules.Description(r.Spec.Description, spec.Child("description"))...)
	errs = append(errs, rules.Document(r.Spec.AssumeRolePolicyDocument, iam.RaisedMaxTrustPolicy, policy.Trust, spec.Child("assumeRolePolicyDocument"))...)
	errs = append(errs, validatePrincipals(r.Status.Principals)...)
	least, greatest := int32(iam.LeastMaxSession.Seconds()), int32(iam.GreatestMaxSession.Seconds())
	if d := r.Spec.MaxSessionDuration; d < least || d > greatest {
		errs = append(errs, field.Invalid(spec.Child("maxSessionDuration"), d, "must be between 3600 and 43200, inclusive"))
	}
	errs = append(errs, validateInline(r.Spec.InlinePolicies, spec.Child("inlinePolicies"))...)
	errs = append(errs, validateAttached(r.Spec.AttachedPolicies, spec.Child("attachedPolicies"))...)
	if b := r.Spec.PermissionsBoundary; b != "" {
		errs = append(errs, rules.PolicyARN(b, spec.Child("permissionsBoundary"))...)
	}
	return append(errs, rules.Tags(r.Spec.Tags, true, spec.Child("tags"))...)
}

func validateInline(policies []v1alpha1.InlinePolicy, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen, size := map[string]bool{}, 0
	for i, inline := range policies {
		errs = append(errs, rules.Name(inline.Name, iam.MaxPolicyName, p.Index(i).Child("name"))...)
		errs = append(errs, rules.Document(inline.Document, iam.MaxInline, policy.Identity, p.Index(i).Child("document"))...)
		if key := strings.ToLower(inline.Name); seen[key] {
			errs = append(errs, field.Duplicate(p.Index(i).Child("name"), inline.Name))
		} else {
			seen[key] = true
		}
		size += policy.Size(inline.Document)
	}
	if len(errs) == 0 && size > iam.MaxInline {
		errs = append(errs, field.TooLong(p, "", iam.MaxInline))
	}
	return errs
}

func validateAttached(arns []string, p *field.Path) field.ErrorList {
	if len(arns) > iam.RaisedMaxAttached {
		return field.ErrorList{field.TooMany(p, len(arns), iam.RaisedMaxAttached)}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, arn := range arns {
		errs = append(errs, rules.PolicyARN(arn, p.Index(i))...)
		if seen[arn] {
			errs = append(errs, field.Duplicate(p.Index(i), arn))
		}
		seen[arn] = true
	}
	return errs
}

func validateUpdate(r, old *object) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Same(r.Spec.Partition, old.Spec.Partition, spec.Child("partition"))
	errs = append(errs, rules.Same(r.Spec.Account, old.Spec.Account, spec.Child("account"))...)
	errs = append(errs, rules.Same(r.Spec.RoleName, old.Spec.RoleName, spec.Child("roleName"))...)
	errs = append(errs, rules.Same(r.Spec.Path, old.Spec.Path, spec.Child("path"))...)
	return append(errs, validate(r)...)
}

func columns() resource.Columns[*object] {
	return resource.Columns[*object]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "ARN", Type: "string", Description: "ARN is the role's name, as pods and trust policies have it."},
			{Name: "Role-ID", Type: "string", Priority: 1, Description: "Role-ID is the role's unique id."},
			{Name: "Max-Session", Type: "integer", Priority: 1, Description: "Max-Session is how many seconds a session may last."},
			resource.AgeColumn(),
		},
		Row: func(r *object) []any {
			return []any{r.Name, r.Status.ARN, r.Status.RoleID, int64(r.Spec.MaxSessionDuration), resource.Age(r)}
		},
	}
}
