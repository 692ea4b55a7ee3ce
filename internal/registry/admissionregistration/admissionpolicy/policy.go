package admissionpolicy

import (
	"context"
	"reflect"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/admissionregistration/matching"
)

// policy is what policies of either kind say. Its pointers lead into the object.
type policy struct {
	name        string
	paramKind   *v1.ParamKind
	constraints *v1.MatchResources
	failure     **v1.FailurePolicyType
	conditions  []v1.MatchCondition
	variables   []v1.Variable
}

func ofValidating(p *v1.ValidatingAdmissionPolicy) policy {
	s := &p.Spec
	return policy{p.Name, s.ParamKind, s.MatchConstraints, &s.FailurePolicy, s.MatchConditions, s.Variables}
}

func ofMutating(p *v1.MutatingAdmissionPolicy) policy {
	s := &p.Spec
	return policy{p.Name, s.ParamKind, s.MatchConstraints, &s.FailurePolicy, s.MatchConditions, s.Variables}
}

var failurePolicies = []v1.FailurePolicyType{v1.Fail, v1.Ignore}

func (p policy) setDefaults() {
	if *p.failure == nil {
		*p.failure = new(v1.Fail)
	}
	setMatchDefaults(p.constraints)
}

// validate checks what both kinds say, but for what they do. old is the policy before,
// nil for a new one.
func (p policy) validate(ctx context.Context, c *matching.Conditions, old *policy) field.ErrorList {
	spec := field.NewPath("spec")
	errs := reserved(p.name)
	if *p.failure == nil {
		errs = append(errs, field.Required(spec.Child("failurePolicy"), ""))
	}
	errs = append(errs, matching.OneOf(*p.failure, failurePolicies, spec.Child("failurePolicy"))...)
	if p.paramKind != nil {
		errs = append(errs, validateParamKind(*p.paramKind, spec.Child("paramKind"))...)
	}
	constraints := spec.Child("matchConstraints")
	if p.constraints == nil {
		errs = append(errs, field.Required(constraints, ""))
	} else {
		errs = append(errs, validateMatch(p.constraints, constraints)...)
		if len(p.constraints.ResourceRules) == 0 {
			errs = append(errs, field.Required(constraints.Child("resourceRules"), ""))
		}
	}
	return append(errs, p.validateConditions(ctx, c, old, spec.Child("matchConditions"))...)
}

// validateConditions looks at conditions unless nothing about them has changed.
func (p policy) validateConditions(ctx context.Context, c *matching.Conditions, old *policy, at *field.Path) field.ErrorList {
	known := map[string]bool{}
	if old != nil {
		if reflect.DeepEqual(p.paramKind, old.paramKind) && reflect.DeepEqual(p.conditions, old.conditions) {
			return nil
		}
		matching.Known(old.conditions, known)
	}
	return c.Check(ctx, p.conditions, p.paramKind != nil, known, at)
}

// staticSuffix ends the names of policies that come from files and not from the API.
const staticSuffix = ".static.k8s.io"

func reserved(name string) field.ErrorList {
	if !strings.HasSuffix(name, staticSuffix) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), name,
		`names ending with "`+staticSuffix+`" are reserved for static manifest-based configurations and cannot be managed via the API`)}
}

// changes are the operations in which an object can be changed, in the order in which
// messages name them.
var changes = []v1.OperationType{v1.OperationAll, v1.Create, v1.Update}

// onlyChanges refuses rules about operations in which nothing can be changed.
func onlyChanges(m *v1.MatchResources, at *field.Path) (errs field.ErrorList) {
	if m == nil {
		return nil
	}
	for _, r := range m.ResourceRules {
		for _, o := range r.Operations {
			if !slices.Contains(changes, o) {
				errs = append(errs, field.NotSupported(at.Child("resourceRules", "operations"), o, changes))
			}
		}
	}
	return errs
}
