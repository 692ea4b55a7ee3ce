// Package poddisruptionbudget owns the PodDisruptionBudget kind of policy/v1: validation,
// table and storage with the status subresource.
//
// How many pods may be disrupted is counted by internal/controller/disruption; evictions
// that keep to it are served by internal/registry/core/pod.
package poddisruptionbudget

import (
	"context"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type budget = policyv1.PodDisruptionBudget

// Definition describes budgets.
func Definition() resource.Definition[*budget] {
	return resource.Definition[*budget]{
		GroupVersion: policyv1.SchemeGroupVersion,
		Plural:       "poddisruptionbudgets",
		Singular:     "poddisruptionbudget",
		ShortNames:   []string{"pdb"},
		Namespaced:   true,
		New:          func() *budget { return &budget{} },
		NewList:      func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		Rules: resource.Rules[*budget]{
			PrepareCreate: func(_ context.Context, b *budget) {
				b.Status = policyv1.PodDisruptionBudgetStatus{}
				b.Generation = 1
			},
			PrepareUpdate: func(_ context.Context, b, old *budget) {
				b.Status, b.Generation = old.Status, old.Generation
				if !equality.Semantic.DeepEqual(b.Spec, old.Spec) {
					b.Generation++
				}
			},
			Validate: func(_ context.Context, b *budget) field.ErrorList {
				return validateSpec(&b.Spec, metav1validation.LabelSelectorValidationOptions{})
			},
			ValidateUpdate: func(_ context.Context, b, old *budget) field.ErrorList {
				return validateSpec(&b.Spec, metav1validation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: metav1validation.LabelSelectorHasInvalidLabelValue(old.Spec.Selector)})
			},
			RequireResourceVersion: true,
			Reset:                  []string{"status"},
		},
		Status: &resource.Rules[*budget]{
			PrepareUpdate:          func(_ context.Context, b, old *budget) { b.Spec, b.Generation = old.Spec, old.Generation },
			ValidateUpdate:         func(_ context.Context, b, _ *budget) field.ErrorList { return validateStatus(&b.Status) },
			RequireResourceVersion: true,
			Reset:                  []string{"spec"},
		},
		Columns: columns(),
	}
}

var policies = []policyv1.UnhealthyPodEvictionPolicyType{policyv1.AlwaysAllow, policyv1.IfHealthyBudget}

func validateSpec(s *policyv1.PodDisruptionBudgetSpec, selectors metav1validation.LabelSelectorValidationOptions) field.ErrorList {
	at := field.NewPath("spec")
	var errs field.ErrorList
	if s.MinAvailable != nil && s.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(at, *s, "minAvailable and maxUnavailable cannot be both set"))
	}
	errs = append(errs, validateCount(s.MinAvailable, at.Child("minAvailable"))...)
	errs = append(errs, validateCount(s.MaxUnavailable, at.Child("maxUnavailable"))...)
	errs = append(errs, metav1validation.ValidateLabelSelector(s.Selector, selectors, at.Child("selector"))...)
	if p := s.UnhealthyPodEvictionPolicy; p != nil && *p != policies[0] && *p != policies[1] {
		errs = append(errs, field.NotSupported(at.Child("unhealthyPodEvictionPolicy"), *p, policies))
	}
	return errs
}

// validateCount wants a number of pods, or a percentage up to a hundred.
func validateCount(v *intstr.IntOrString, at *field.Path) (errs field.ErrorList) {
	switch {
	case v == nil:
	case v.Type == intstr.Int:
		errs = apivalidation.ValidateNonnegativeField(int64(v.IntVal), at)
	case v.Type == intstr.String:
		for _, msg := range validation.IsValidPercent(v.StrVal) {
			errs = append(errs, field.Invalid(at, v, msg))
		}
		if percent, err := intstr.GetScaledValueFromIntOrPercent(v, 100, false); err == nil && percent > 100 {
			errs = append(errs, field.Invalid(at, v, "must not be greater than 100%"))
		}
	default:
		errs = append(errs, field.Invalid(at, v, "must be an integer or percentage (e.g '5%%')"))
	}
	return errs
}

func validateStatus(s *policyv1.PodDisruptionBudgetStatus) field.ErrorList {
	at := field.NewPath("status")
	errs := metav1validation.ValidateConditions(s.Conditions, at.Child("conditions"))
	for _, count := range []struct {
		name  string
		value int32
	}{
		{"disruptionsAllowed", s.DisruptionsAllowed}, {"currentHealthy", s.CurrentHealthy},
		{"desiredHealthy", s.DesiredHealthy}, {"expectedPods", s.ExpectedPods},
	} {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(count.value), at.Child(count.name))...)
	}
	return errs
}

func columns() resource.Columns[*budget] {
	spec, status := policyv1.PodDisruptionBudgetSpec{}.SwaggerDoc(), policyv1.PodDisruptionBudgetStatus{}.SwaggerDoc()
	return resource.Columns[*budget]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Min Available", Type: "string", Description: spec["minAvailable"]},
			{Name: "Max Unavailable", Type: "string", Description: spec["maxUnavailable"]},
			{Name: "Allowed Disruptions", Type: "integer", Description: status["disruptionsAllowed"]},
			resource.AgeColumn(),
		},
		Row: func(b *budget) []any {
			return []any{b.Name, text(b.Spec.MinAvailable), text(b.Spec.MaxUnavailable), int64(b.Status.DisruptionsAllowed), resource.Age(b)}
		},
	}
}

func text(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}
