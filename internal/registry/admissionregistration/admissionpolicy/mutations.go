package admissionpolicy

import (
	"context"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

var (
	patchTypes    = []v1.PatchType{v1.PatchTypeApplyConfiguration, v1.PatchTypeJSONPatch}
	reinvocations = []v1.ReinvocationPolicyType{v1.IfNeededReinvocationPolicy, v1.NeverReinvocationPolicy}
)

// validateMutating checks a policy that changes objects. old is the policy before, nil for
// a new one.
func validateMutating(ctx context.Context, c *matching.Conditions, p, old *v1.MutatingAdmissionPolicy) field.ErrorList {
	said, known := ofMutating(p), map[string]bool{}
	var before *policy
	if old != nil {
		before = new(ofMutating(old))
		for _, m := range old.Spec.Mutations {
			if m.ApplyConfiguration != nil {
				known[strings.TrimSpace(m.ApplyConfiguration.Expression)] = true
			}
			if m.JSONPatch != nil {
				known[strings.TrimSpace(m.JSONPatch.Expression)] = true
			}
		}
	}
	spec := field.NewPath("spec")
	errs := said.validate(ctx, c, before)
	errs = append(errs, onlyChanges(p.Spec.MatchConstraints, spec.Child("matchConstraints"))...)
	e, mistake := compiling(ctx, c, said, known)
	if mistake != nil {
		return append(errs, mistake)
	}
	errs = append(errs, e.declare(said.variables, spec.Child("variables"))...)
	mutations := spec.Child("mutations")
	if len(p.Spec.Mutations) == 0 {
		errs = append(errs, field.Required(mutations, "mutations must contain at least one item"))
	}
	for i, m := range p.Spec.Mutations {
		errs = append(errs, e.mutation(m, mutations.Index(i))...)
	}
	return append(errs, check.OneOf(spec.Child("reinvocationPolicy"), p.Spec.ReinvocationPolicy, reinvocations...)...)
}

// mutation checks one change: of the two ways of saying it the one that patchType names.
func (e *expressions) mutation(m v1.Mutation, at *field.Path) field.ErrorList {
	errs := check.OneOf(at.Child("patchType"), m.PatchType, patchTypes...)
	if len(errs) > 0 {
		return errs
	}
	apply := form{name: "applyConfiguration", there: m.ApplyConfiguration != nil}
	if apply.there {
		apply.expression = &patch.ApplyConfigurationCondition{Expression: strings.TrimSpace(m.ApplyConfiguration.Expression)}
	}
	json := form{name: "jsonPatch", there: m.JSONPatch != nil}
	if json.there {
		json.expression = &patch.JSONPatchCondition{Expression: strings.TrimSpace(m.JSONPatch.Expression)}
	}
	meant, other := apply, json
	if m.PatchType == v1.PatchTypeJSONPatch {
		meant, other = json, apply
	}
	switch {
	case !meant.there:
		errs = append(errs, field.Required(at.Child(meant.name), "must be specified when patchType is "+string(m.PatchType)))
	case meant.expression.GetExpression() == "":
		errs = append(errs, field.Required(at.Child(meant.name, "expression"), ""))
	default:
		errs = append(errs, e.check(meant.expression, e.with(true, true), at.Child(meant.name, "expression"))...)
	}
	if other.there {
		errs = append(errs, field.Invalid(at.Child(other.name), "{"+other.name+"}", "must not be specified when patchType is "+string(m.PatchType)))
	}
	return errs
}

// form is a way of saying a change.
type form struct {
	name       string
	there      bool
	expression cel.ExpressionAccessor
}
