package matching

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	operations = []v1.OperationType{v1.OperationAll, v1.Connect, v1.Create, v1.Delete, v1.Update}
	scopes     = []v1.ScopeType{v1.AllScopes, v1.ClusterScope, v1.NamespacedScope}
)

// Rule checks a rule, which says what requests something is about.
func Rule(r v1.RuleWithOperations, at *field.Path) field.ErrorList {
	errs := aloneOrNone(r.Operations, v1.OperationAll, "operations", at.Child("operations"))
	for i, o := range r.Operations {
		if !slices.Contains(operations, o) {
			errs = append(errs, field.NotSupported(at.Child("operations").Index(i), o, operations))
		}
	}
	errs = append(errs, aloneOrNone(r.APIGroups, "*", "API groups", at.Child("apiGroups"))...)
	errs = append(errs, aloneOrNone(r.APIVersions, "*", "API versions", at.Child("apiVersions"))...)
	for i, v := range r.APIVersions {
		if v == "" {
			errs = append(errs, field.Required(at.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResources(r.Resources, at.Child("resources"))...)
	return append(errs, OneOf(r.Scope, scopes, at.Child("scope"))...)
}

// aloneOrNone checks a list that must have something, and nothing beside what stands for
// all.
func aloneOrNone[T ~string](list []T, all T, what string, at *field.Path) field.ErrorList {
	switch {
	case len(list) == 0:
		return field.ErrorList{field.Required(at, "")}
	case len(list) > 1 && slices.Contains(list, all):
		return field.ErrorList{field.Invalid(at, list, "if '*' is present, must not specify other "+what)}
	}
	return nil
}

// validateResources checks resources and subresources, of which one must not cover another
// that comes behind it.
func validateResources(list []string, at *field.Path) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	allOf, ofAll := map[string]bool{}, map[string]bool{} // "<resource>/*" and "*/<subresource>"
	plain := false
	for i, name := range list {
		if name == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		res, sub, isSub := strings.Cut(name, "/")
		if !isSub {
			plain = name != "*" // as upstream: of the last one that is no subresource
			continue
		}
		if allOf[res] {
			errs = append(errs, field.Invalid(at.Index(i), name, fmt.Sprintf("if '%s/*' is present, must not specify %s", res, name)))
		}
		if ofAll[sub] {
			errs = append(errs, field.Invalid(at.Index(i), name, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, name)))
		}
		allOf[res] = allOf[res] || sub == "*"
		ofAll[sub] = ofAll[sub] || res == "*"
	}
	if len(list) > 1 && slices.Contains(list, "*/*") {
		errs = append(errs, field.Invalid(at, list, "if '*/*' is present, must not specify other resources"))
	}
	if slices.Contains(list, "*") && plain {
		errs = append(errs, field.Invalid(at, list, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}

// OneOf checks a field that may be left out.
func OneOf[T ~string](value *T, allowed []T, at *field.Path) field.ErrorList {
	if value == nil || slices.Contains(allowed, *value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, *value, allowed)}
}
