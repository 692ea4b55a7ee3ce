package admissionpolicy

import (
	"slices"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// binding is what bindings of either kind say.
type binding struct {
	name, policy string
	params       *v1.ParamRef
	match        *v1.MatchResources
}

func ofValidatingBinding(b *v1.ValidatingAdmissionPolicyBinding) binding {
	return binding{b.Name, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources}
}

func ofMutatingBinding(b *v1.MutatingAdmissionPolicyBinding) binding {
	return binding{b.Name, b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources}
}

func (b binding) validate() field.ErrorList {
	spec := field.NewPath("spec")
	errs := append(reserved(b.name), check.Required(b.policy, spec.Child("policyName"))...)
	if b.policy != "" {
		errs = append(errs, check.Messages(apivalidation.NameIsDNSSubdomain(b.policy, false), b.policy, spec.Child("policyName"))...)
	}
	errs = append(errs, validateParamRef(b.params, spec.Child("paramRef"))...)
	return append(errs, validateMatch(b.match, spec.Child("matchResources"))...)
}

var actions = []v1.ValidationAction{v1.Audit, v1.Deny, v1.Warn}

func validateActions(list []v1.ValidationAction, at *field.Path) (errs field.ErrorList) {
	seen := map[v1.ValidationAction]bool{}
	for i, a := range list {
		if !slices.Contains(actions, a) {
			errs = append(errs, field.NotSupported(at.Index(i), a, actions))
		}
		if seen[a] {
			errs = append(errs, field.Duplicate(at.Index(i), a))
		}
		seen[a] = true
	}
	if seen[v1.Deny] && seen[v1.Warn] {
		errs = append(errs, field.Invalid(at, list, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	if len(list) == 0 {
		errs = append(errs, field.Required(at, "at least one validation action is required"))
	}
	return errs
}

var notFoundActions = []v1.ParameterNotFoundActionType{v1.DenyAction, v1.AllowAction}

func validateParamRef(r *v1.ParamRef, at *field.Path) (errs field.ErrorList) {
	if r == nil {
		return nil
	}
	const exclusive = "name and selector are mutually exclusive"
	if r.Name != "" {
		errs = append(errs, check.Messages(content.IsPathSegmentName(r.Name), r.Name, at.Child("name"))...)
		if r.Selector != nil {
			errs = append(errs, field.Forbidden(at.Child("name"), exclusive))
		}
	}
	if r.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabelSelector(r.Selector, metavalidation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
		if r.Name != "" {
			errs = append(errs, field.Forbidden(at.Child("selector"), exclusive))
		}
	}
	if r.Name == "" && r.Selector == nil {
		errs = append(errs, field.Required(at, "one of name or selector must be specified"))
	}
	found := at.Child("parameterNotFoundAction")
	switch a := r.ParameterNotFoundAction; {
	case a == nil || *a == "":
		errs = append(errs, field.Required(found, ""))
	case !slices.Contains(notFoundActions, *a):
		errs = append(errs, field.NotSupported(found, *a, notFoundActions))
	}
	return errs
}

// refers is how a table shows which parameters are meant.
func refers(r *v1.ParamRef) string {
	switch {
	case r == nil:
		return "<unset>"
	case r.Name == "" && r.Selector != nil:
		return metav1.FormatLabelSelector(r.Selector)
	case r.Name == "":
		return "<unset>"
	case r.Namespace == "":
		return "*/" + r.Name
	}
	return r.Namespace + "/" + r.Name
}
