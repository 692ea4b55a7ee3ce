package limits

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	kind "laterna.dev/laterna/internal/registry/resource"
)

// ResourceQuota describes how much may be used in a namespace.
func ResourceQuota() kind.Definition[*corev1.ResourceQuota] {
	halves := kind.Halves[*corev1.ResourceQuota, corev1.ResourceQuotaSpec, corev1.ResourceQuotaStatus]{
		Spec:      func(q *corev1.ResourceQuota) *corev1.ResourceQuotaSpec { return &q.Spec },
		Status:    func(q *corev1.ResourceQuota) *corev1.ResourceQuotaStatus { return &q.Status },
		Uncounted: true,
	}
	rules := halves.Main(func(q *corev1.ResourceQuota) field.ErrorList { return validateSpec(&q.Spec) }, func(q, old *corev1.ResourceQuota) field.ErrorList {
		errs := validateSpec(&q.Spec)
		if !maps.Equal(set(q.Spec.Scopes...), set(old.Spec.Scopes...)) {
			errs = append(errs, field.Invalid(field.NewPath("spec", "scopes"), q.Spec.Scopes, apivalidation.FieldImmutableErrorMsg))
		}
		return errs
	})
	rules.AllowCreateOnUpdate = true
	status := halves.Sub(func(q, _ *corev1.ResourceQuota) field.ErrorList {
		at := field.NewPath("status")
		return append(validateList(q.Status.Hard, at.Child("hard")), validateList(q.Status.Used, at.Child("used"))...)
	})
	status.RequireResourceVersion = true
	return kind.Definition[*corev1.ResourceQuota]{
		GroupVersion: corev1.SchemeGroupVersion, Plural: "resourcequotas", Singular: "resourcequota", ShortNames: []string{"quota"}, Namespaced: true,
		New: func() *corev1.ResourceQuota { return &corev1.ResourceQuota{} }, NewList: func() runtime.Object { return &corev1.ResourceQuotaList{} },
		Rules: rules, Status: status, Columns: quotaColumns(), ReturnDeleted: true,
	}
}

func validateList(list corev1.ResourceList, at *field.Path) (errs field.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		at := at.Key(string(name))
		wrong := validateName(name, at)
		if plain(name) && !quotaName(name) {
			wrong = append(wrong, field.Invalid(at, name, "must be a standard resource for quota"))
		}
		errs = append(append(errs, wrong...), validateAmount(name, list[name], at)...)
	}
	return errs
}

func validateSpec(s *corev1.ResourceQuotaSpec) field.ErrorList {
	at := field.NewPath("spec")
	errs := validateList(s.Hard, at.Child("hard"))
	scopes := at.Child("scopes")
	for _, scope := range s.Scopes {
		errs = append(errs, validateScope(scope, s, scopes, s.Scopes, scopes, s.Scopes)...)
	}
	if conflict(s.Scopes) {
		errs = append(errs, field.Invalid(scopes, s.Scopes, "conflicting scopes"))
	}
	if s.ScopeSelector == nil {
		return errs
	}
	expressions := at.Child("scopeSelector", "matchExpressions")
	var named []corev1.ResourceQuotaScope
	for _, r := range s.ScopeSelector.MatchExpressions {
		named = append(named, r.ScopeName)
		errs = append(errs, validateScope(r.ScopeName, s, expressions.Child("scopeName"), r.ScopeName, expressions, s.ScopeSelector)...)
		errs = append(errs, validateRequirement(r, expressions)...)
	}
	if conflict(named) {
		errs = append(errs, field.Invalid(expressions, s.Scopes, "conflicting scopes"))
	}
	return errs
}

// conflict tells whether no object can be in all of some scopes.
func conflict(scopes []corev1.ResourceQuotaScope) bool {
	has := set(scopes...)
	return has[corev1.ResourceQuotaScopeBestEffort] && has[corev1.ResourceQuotaScopeNotBestEffort] ||
		has[corev1.ResourceQuotaScopeTerminating] && has[corev1.ResourceQuotaScopeNotTerminating]
}

// compute are the amounts of pods that scopes may be about.
func compute() map[corev1.ResourceName]bool {
	return set(corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory)
}

// applies tells what a scope may limit; known is false for what is no scope.
func applies(scope corev1.ResourceQuotaScope) (to func(corev1.ResourceName) bool, known bool) {
	switch scope {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return func(n corev1.ResourceName) bool { return n == corev1.ResourcePods || compute()[n] }, true
	case corev1.ResourceQuotaScopeBestEffort:
		return func(n corev1.ResourceName) bool { return n == corev1.ResourcePods }, true
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return func(n corev1.ResourceName) bool {
			return n == corev1.ResourcePersistentVolumeClaims || n == corev1.ResourceRequestsStorage
		}, true
	}
	return func(corev1.ResourceName) bool { return true }, false
}

func validateScope(scope corev1.ResourceQuotaScope, s *corev1.ResourceQuotaSpec, nameAt *field.Path, name any, at *field.Path, value any) (errs field.ErrorList) {
	to, known := applies(scope)
	if !known {
		errs = append(errs, field.Invalid(nameAt, name, "unsupported scope"))
	}
	for _, n := range slices.Sorted(maps.Keys(s.Hard)) {
		if quotaName(n) && !to(n) {
			errs = append(errs, field.Invalid(at, value, "unsupported scope applied to resource"))
		}
	}
	return errs
}

func validateRequirement(r corev1.ScopedResourceSelectorRequirement, at *field.Path) (errs field.ErrorList) {
	switch r.ScopeName {
	case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		if r.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(at.Child("operator"), r.Operator,
				"must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
	}
	switch r.Operator {
	case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(at.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
		}
	case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
		if len(r.Values) != 0 {
			errs = append(errs, field.Invalid(at.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
		}
	default:
		errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	return errs
}

func quotaColumns() kind.Columns[*corev1.ResourceQuota] {
	return kind.Columns[*corev1.ResourceQuota]{
		Columns: []kind.Column{
			kind.Name(),
			{Name: "Request", Type: "string", Description: "Request represents a minimum amount of cpu/memory that a container may consume."},
			{Name: "Limit", Type: "string", Description: "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."},
			kind.AgeColumn(),
		},
		Row: func(q *corev1.ResourceQuota) []any {
			var requests, limits []string
			for _, name := range slices.Sorted(maps.Keys(q.Status.Hard)) {
				used, hard := q.Status.Used[name], q.Status.Hard[name]
				into := &requests
				if strings.HasPrefix(string(name), "limits.") {
					into = &limits
				}
				*into = append(*into, fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String()))
			}
			return []any{q.Name, strings.Join(requests, ", "), strings.Join(limits, ", "), kind.Age(q)}
		},
	}
}
