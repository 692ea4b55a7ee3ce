// Package setrules has what the rules of Deployments, StatefulSets and DaemonSets share:
// numbers that may be percentages, and counts of collisions. What a kind means is in the
// packages beside this one; what kinds say alike of their templates is in
// internal/registry/core/podspec/template.
package setrules

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// IntOrPercent requires a whole number that is not negative, or a percentage of at most
// a hundred.
func IntOrPercent(v intstr.IntOrString, path *field.Path) field.ErrorList {
	return append(Amount(v, path), AtMostAll(v, path)...)
}

// Amount requires a whole number that is not negative, or a percentage.
func Amount(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.Int {
		return check.NonNegative(int64(v.IntVal), path)
	}
	var errs field.ErrorList
	for _, msg := range validation.IsValidPercent(v.StrVal) {
		errs = append(errs, field.Invalid(path, v, msg))
	}
	return errs
}

// AtMostAll requires a percentage to be of at most a hundred.
func AtMostAll(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if n, ok := percent(v); ok && n > 100 {
		return field.ErrorList{field.Invalid(path, v, "must not be greater than 100%")}
	}
	return nil
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
