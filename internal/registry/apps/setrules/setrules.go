// Package setrules has what the rules and tables of StatefulSets and DaemonSets share:
// numbers that may be percentages, selectors and the templates they have to match. What a kind means is in the packages beside this one; pod
// templates are internal/registry/core/podspec's.
package setrules

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// IntOrPercent requires a whole number that is not negative, or a percentage of at most
// a hundred.
func IntOrPercent(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.Int {
		return check.NonNegative(int64(v.IntVal), path)
	}
	var errs field.ErrorList
	for _, msg := range validation.IsValidPercent(v.StrVal) {
		errs = append(errs, field.Invalid(path, v, msg))
	}
	if n, ok := percent(v); ok && n > 100 {
		errs = append(errs, field.Invalid(path, v, "must not be greater than 100%"))
	}
	return errs
}

// IsZero tells whether a number or percentage is none.
func IsZero(v *intstr.IntOrString) bool {
	if v == nil {
		return true
	}
	if n, ok := percent(*v); ok {
		return n == 0
	}
	return v.IntValue() == 0
}

// percent reads a percentage; one that is too large to be read is more than a hundred.
func percent(v intstr.IntOrString) (n int, ok bool) {
	if v.Type != intstr.String || len(validation.IsValidPercent(v.StrVal)) > 0 {
		return 0, false
	}
	digits := strings.TrimLeft(strings.TrimSuffix(v.StrVal, "%"), "0")
	if len(digits) > 4 {
		return 9999, true
	}
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n, true
}

// Selector requires a selector that selects something, for a kind of that name.
func Selector(s *metav1.LabelSelector, kind string, path *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, path)
	if s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path, s, "empty selector is invalid for "+kind))
	}
	return errs
}

// Matches requires the labels of a template to match a selector. A selector that is none
// is complained of elsewhere.
func Matches(s *metav1.LabelSelector, template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil || selector.Matches(labels.Set(template.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("metadata", "labels"), template.Labels, "`selector` does not match template `labels`")}
}

// Lasting requires the pods of a template to run until they are deleted. kind is the Kind
// of the set.
func Lasting(spec *corev1.PodSpec, kind string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(path.Child("restartPolicy"), spec.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("activeDeadlineSeconds"), fmt.Sprintf("activeDeadlineSeconds in %s is not Supported", kind)))
	}
	return errs
}

// Collisions requires the count of a status to be none below that of the former one.
func Collisions(now, before *int32, path *field.Path) field.ErrorList {
	if before == nil || now != nil && *now >= *before {
		return nil
	}
	value := int32(0)
	if now != nil {
		value = *now
	}
	return field.ErrorList{field.Invalid(path, value, "cannot be decremented")}
}
