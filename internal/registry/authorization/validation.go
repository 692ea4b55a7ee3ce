package authorization

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateQuestion checks that a spec asks for exactly one of resource and path.
func validateQuestion(resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("spec")
	if resource != nil && path != nil {
		errs = append(errs, field.Invalid(p.Child("nonResourceAttributes"), path, "cannot be specified in combination with resourceAttributes"))
	}
	if resource == nil && path == nil {
		errs = append(errs, field.Invalid(p.Child("resourceAttributes"), path, "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
	}
	if resource != nil {
		errs = append(errs, validateSelectors(resource, p.Child("resourceAttributes"))...)
	}
	return errs
}

// validateSubject checks that a spec names somebody.
func validateSubject(spec authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	if spec.User == "" && len(spec.Groups) == 0 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "user"), spec.User, "at least one of user or group must be specified")}
	}
	return nil
}

// validateMetadata checks that a review, which is never stored, has no metadata.
// A namespaced one may name its namespace.
func validateMetadata(m metav1.ObjectMeta, namespaced bool) field.ErrorList {
	rest, text := m, "must be empty"
	rest.ManagedFields = nil
	if namespaced {
		rest.Namespace, text = "", "must be empty except for namespace"
	}
	if !equality.Semantic.DeepEqual(metav1.ObjectMeta{}, rest) {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), m, text)}
	}
	return nil
}

func validateSelectors(r *authorizationv1.ResourceAttributes, p *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s := r.FieldSelector; s != nil {
		p := p.Child("fieldSelector")
		errs = append(errs, validateForm(s.RawSelector, len(s.Requirements), p)...)
		for i, req := range s.Requirements {
			errs = append(errs, metavalidation.ValidateFieldSelectorRequirement(req, metavalidation.FieldSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}, p.Child("requirements").Index(i))...)
		}
	}
	if s := r.LabelSelector; s != nil {
		p := p.Child("labelSelector")
		errs = append(errs, validateForm(s.RawSelector, len(s.Requirements), p)...)
		for i, req := range s.Requirements {
			errs = append(errs, metavalidation.ValidateLabelSelectorRequirement(req, metavalidation.LabelSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}, p.Child("requirements").Index(i))...)
		}
	}
	return errs
}

// validateForm checks that a selector is given either raw or as requirements.
func validateForm(raw string, requirements int, p *field.Path) field.ErrorList {
	switch {
	case raw != "" && requirements > 0:
		return field.ErrorList{field.Invalid(p.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && requirements == 0:
		return field.ErrorList{field.Required(p.Child("requirements"), fmt.Sprintf("when %s is specified, requirements or rawSelector is required", p))}
	}
	return nil
}
