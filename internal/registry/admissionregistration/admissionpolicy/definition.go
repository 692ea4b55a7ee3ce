package admissionpolicy

import (
	"context"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/resource"
)

// Config is what the four kinds are checked with.
type Config struct {
	Conditions *matching.Conditions
	Access     Access
}

// categories are those of all four kinds.
func categories() []string { return []string{"api-extensions"} }

// Validating describes policies that may refuse requests.
func Validating(c Config) resource.Definition[*v1.ValidatingAdmissionPolicy] {
	type object = *v1.ValidatingAdmissionPolicy
	halves := resource.Halves[object, v1.ValidatingAdmissionPolicySpec, v1.ValidatingAdmissionPolicyStatus]{
		Spec:   func(p object) *v1.ValidatingAdmissionPolicySpec { return &p.Spec },
		Status: func(p object) *v1.ValidatingAdmissionPolicyStatus { return &p.Status },
	}
	rules := checked(halves.Main(nil, nil), func(ctx context.Context, p, old object) field.ErrorList {
		var before *v1.ParamKind
		if old != nil {
			before = old.Spec.ParamKind
		}
		return allowed(validateValidating(ctx, c.Conditions, p, old), func() field.ErrorList { return c.Access.policy(ctx, p.Spec.ParamKind, before) })
	})
	return resource.Definition[object]{
		GroupVersion: v1.SchemeGroupVersion, Plural: "validatingadmissionpolicies", Singular: "validatingadmissionpolicy", Categories: categories(),
		New: func() object { return &v1.ValidatingAdmissionPolicy{} }, NewList: func() runtime.Object { return &v1.ValidatingAdmissionPolicyList{} },
		Default: func(p object) { ofValidating(p).setDefaults() },
		Rules:   rules,
		Status:  halves.Sub(func(p, _ object) field.ErrorList { return validateStatus(&p.Status) }),
		Columns: policyColumns("Validations", "Validations indicates the number of validation rules defined in this configuration",
			func(p object) (int, *v1.ParamKind) { return len(p.Spec.Validations), p.Spec.ParamKind }),
	}
}

// Mutating describes policies that change objects.
func Mutating(c Config) resource.Definition[*v1.MutatingAdmissionPolicy] {
	type object = *v1.MutatingAdmissionPolicy
	halves := resource.Halves[object, v1.MutatingAdmissionPolicySpec, struct{}]{
		Spec: func(p object) *v1.MutatingAdmissionPolicySpec { return &p.Spec },
	}
	rules := checked(halves.Main(nil, nil), func(ctx context.Context, p, old object) field.ErrorList {
		var before *v1.ParamKind
		if old != nil {
			before = old.Spec.ParamKind
		}
		return allowed(validateMutating(ctx, c.Conditions, p, old), func() field.ErrorList { return c.Access.policy(ctx, p.Spec.ParamKind, before) })
	})
	return resource.Definition[object]{
		GroupVersion: v1.SchemeGroupVersion, Plural: "mutatingadmissionpolicies", Singular: "mutatingadmissionpolicy", Categories: categories(),
		New: func() object { return &v1.MutatingAdmissionPolicy{} }, NewList: func() runtime.Object { return &v1.MutatingAdmissionPolicyList{} },
		Default: func(p object) { ofMutating(p).setDefaults() },
		Rules:   rules,
		Columns: policyColumns("Mutations", "Mutation indicates the number of mutations rules defined in this configuration",
			func(p object) (int, *v1.ParamKind) { return len(p.Spec.Mutations), p.Spec.ParamKind }),
	}
}

// ValidatingBinding describes where policies that may refuse apply, and how.
func ValidatingBinding(c Config) resource.Definition[*v1.ValidatingAdmissionPolicyBinding] {
	type object = *v1.ValidatingAdmissionPolicyBinding
	halves := resource.Halves[object, v1.ValidatingAdmissionPolicyBindingSpec, struct{}]{
		Spec: func(b object) *v1.ValidatingAdmissionPolicyBindingSpec { return &b.Spec },
	}
	rules := checked(halves.Main(nil, nil), func(ctx context.Context, b, old object) field.ErrorList {
		errs := append(ofValidatingBinding(b).validate(), validateActions(b.Spec.ValidationActions, field.NewPath("spec", "validationActions"))...)
		return allowed(errs, func() field.ErrorList {
			return c.Access.binding(ctx, ofValidatingBinding(b), before(old, ofValidatingBinding))
		})
	})
	return resource.Definition[object]{
		GroupVersion: v1.SchemeGroupVersion, Plural: "validatingadmissionpolicybindings", Singular: "validatingadmissionpolicybinding", Categories: categories(),
		New: func() object { return &v1.ValidatingAdmissionPolicyBinding{} }, NewList: func() runtime.Object { return &v1.ValidatingAdmissionPolicyBindingList{} },
		Default: func(b object) { setMatchDefaults(b.Spec.MatchResources) },
		Rules:   rules,
		Columns: bindingColumns(ofValidatingBinding),
	}
}

// MutatingBinding describes where policies that change objects apply.
func MutatingBinding(c Config) resource.Definition[*v1.MutatingAdmissionPolicyBinding] {
	type object = *v1.MutatingAdmissionPolicyBinding
	halves := resource.Halves[object, v1.MutatingAdmissionPolicyBindingSpec, struct{}]{
		Spec: func(b object) *v1.MutatingAdmissionPolicyBindingSpec { return &b.Spec },
	}
	rules := checked(halves.Main(nil, nil), func(ctx context.Context, b, old object) field.ErrorList {
		errs := append(ofMutatingBinding(b).validate(), onlyChanges(b.Spec.MatchResources, field.NewPath("spec", "matchResources"))...)
		return allowed(errs, func() field.ErrorList {
			return c.Access.binding(ctx, ofMutatingBinding(b), before(old, ofMutatingBinding))
		})
	})
	return resource.Definition[object]{
		GroupVersion: v1.SchemeGroupVersion, Plural: "mutatingadmissionpolicybindings", Singular: "mutatingadmissionpolicybinding", Categories: categories(),
		New: func() object { return &v1.MutatingAdmissionPolicyBinding{} }, NewList: func() runtime.Object { return &v1.MutatingAdmissionPolicyBindingList{} },
		Default: func(b object) { setMatchDefaults(b.Spec.MatchResources) },
		Rules:   rules,
		Columns: bindingColumns(ofMutatingBinding),
	}
}

// checked are rules with a check of a new object (old is nil) and of its successors.
func checked[T resource.Object](r resource.Rules[T], check func(ctx context.Context, obj, old T) field.ErrorList) resource.Rules[T] {
	var none T
	r.Validate = func(ctx context.Context, obj T) field.ErrorList { return check(ctx, obj, none) }
	r.ValidateUpdate = check
	r.RequireResourceVersion = true
	return r
}

// allowed asks about rights only what is right otherwise.
func allowed(errs field.ErrorList, ask func() field.ErrorList) field.ErrorList {
	if len(errs) > 0 {
		return errs
	}
	return ask()
}

// before is what a binding said before, nil where there was none.
func before[T any](old *T, of func(*T) binding) *binding {
	if old == nil {
		return nil
	}
	return new(of(old))
}

func policyColumns[T resource.Object](counted, description string, said func(T) (int, *v1.ParamKind)) resource.Columns[T] {
	return resource.Columns[T]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: counted, Type: "integer", Description: description},
			{Name: "ParamKind", Type: "string", Description: "ParamKind specifies the kind of resources used to parameterize this policy"},
			resource.AgeColumn(),
		},
		Row: func(p T) []any {
			n, kind := said(p)
			shown := "<unset>"
			if kind != nil {
				shown = kind.APIVersion + "/" + kind.Kind
			}
			return []any{p.GetName(), int64(n), shown, resource.Age(p)}
		},
	}
}

func bindingColumns[T resource.Object](said func(T) binding) resource.Columns[T] {
	return resource.Columns[T]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "PolicyName", Type: "string", Description: "PolicyName indicates the policy definition which the policy binding binded to"},
			{Name: "ParamRef", Type: "string", Description: "ParamRef indicates the param resource which sets the configuration param"},
			resource.AgeColumn(),
		},
		Row: func(b T) []any { return []any{b.GetName(), said(b).policy, refers(said(b).params), resource.Age(b)} },
	}
}
