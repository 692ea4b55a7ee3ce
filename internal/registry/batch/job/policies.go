package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/indexes"
	"laterna.dev/laterna/internal/registry/bounds"
)

// Bounds of policies.
const (
	maxRules      = 20
	maxConditions = 20
	maxExitCodes  = 255
	maxIndexText  = 64 << 10
)

func oneOf[T ~string](path *field.Path, value T, valid ...T) field.ErrorList {
	switch {
	case slices.Contains(valid, value):
		return nil
	case value == "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q", valid))}
	}
	return field.ErrorList{field.NotSupported(path, value, valid)}
}

func validateFailurePolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	all, path := s.PodFailurePolicy.Rules, path.Child("rules")
	if len(all) > maxRules {
		errs = append(errs, field.TooMany(path, len(all), maxRules))
	}
	for i := range all {
		if bounds.Full(errs) {
			break
		}
		errs = append(errs, validateFailureRule(s, &all[i], path.Index(i))...)
	}
	return errs
}

func validateFailureRule(s *batchv1.JobSpec, r *batchv1.PodFailurePolicyRule, path *field.Path) field.ErrorList {
	errs := oneOf(path.Child("action"), r.Action, batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionFailIndex,
		batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore)
	if r.Action == batchv1.PodFailurePolicyActionFailIndex && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(path.Child("action"), r.Action, "requires the backoffLimitPerIndex to be set"))
	}
	if r.OnExitCodes != nil {
		errs = append(errs, validateExitCodes(s, r.OnExitCodes, path.Child("onExitCodes"))...)
	}
	if len(r.OnPodConditions) > 0 {
		errs = append(errs, validateConditions(r.OnPodConditions, path.Child("onPodConditions"))...)
	}
	switch {
	case r.OnExitCodes != nil && len(r.OnPodConditions) > 0:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case r.OnExitCodes == nil && len(r.OnPodConditions) == 0:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateConditions(all []batchv1.PodFailurePolicyOnPodConditionsPattern, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(all) > maxConditions {
		errs = append(errs, field.TooMany(path, len(all), maxConditions))
	}
	for i, c := range all {
		if bounds.Full(errs) {
			break
		}
		errs = append(errs, metavalidation.ValidateLabelName(string(c.Type), path.Index(i).Child("type"))...)
		errs = append(errs, oneOf(path.Index(i).Child("status"), c.Status, corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown)...)
	}
	return errs
}

func validateExitCodes(s *batchv1.JobSpec, on *batchv1.PodFailurePolicyOnExitCodesRequirement, path *field.Path) field.ErrorList {
	errs := oneOf(path.Child("operator"), on.Operator, batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	if on.ContainerName != nil && !hasContainer(&s.Template.Spec, *on.ContainerName) {
		errs = append(errs, field.Invalid(path.Child("containerName"), *on.ContainerName, "must be one of the container or initContainer names in the pod template"))
	}
	values := path.Child("values")
	switch n := len(on.Values); {
	case n == 0:
		errs = append(errs, field.Invalid(values, on.Values, "at least one value is required"))
	case n > maxExitCodes:
		errs = append(errs, field.TooMany(values, n, maxExitCodes))
	}
	seen := map[int32]bool{}
	for i, code := range on.Values {
		if bounds.Full(errs) {
			return errs
		}
		if code == 0 && on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn {
			errs = append(errs, field.Invalid(values.Index(i), code, "must not be 0 for the In operator"))
		}
		if seen[code] {
			errs = append(errs, field.Duplicate(values.Index(i), code))
		}
		seen[code] = true
	}
	if !slices.IsSorted(on.Values) {
		errs = append(errs, field.Invalid(values, on.Values, "must be ordered"))
	}
	return errs
}

func hasContainer(s *corev1.PodSpec, name string) bool {
	is := func(c corev1.Container) bool { return c.Name == name }
	return slices.ContainsFunc(s.Containers, is) || slices.ContainsFunc(s.InitContainers, is)
}

func validateSuccessPolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	if !indexed(s) {
		return field.ErrorList{field.Invalid(path, *s.SuccessPolicy, needsIndexes)}
	}
	var errs field.ErrorList
	all, path := s.SuccessPolicy.Rules, path.Child("rules")
	if len(all) == 0 {
		errs = append(errs, field.Required(path, "at least one rules must be specified when the successPolicy is specified"))
	}
	if len(all) > maxRules {
		errs = append(errs, field.TooMany(path, len(all), maxRules))
	}
	for i := range all {
		if bounds.Full(errs) {
			break
		}
		errs = append(errs, validateSuccessRule(&all[i], ptr.Deref(s.Completions, 0), path.Index(i))...)
	}
	return errs
}

func validateSuccessRule(r *batchv1.SuccessPolicyRule, completions int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.SucceededCount == nil && r.SucceededIndexes == nil {
		errs = append(errs, field.Required(path, "at least one of succeededCount or succeededIndexes must be specified"))
	}
	total := 0
	if text := r.SucceededIndexes; text != nil {
		at := path.Child("succeededIndexes")
		if len(*text) > maxIndexText {
			errs = append(errs, field.TooLong(at, *text, maxIndexText))
		}
		named, err := indexes.Parse(*text, int(completions))
		if err != nil {
			errs = append(errs, field.Invalid(at, *text, "error parsing succeededIndexes: "+err.Error()))
		}
		total = named.Len()
	}
	if n := r.SucceededCount; n != nil {
		at := path.Child("succeededCount")
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(*n), at)...)
		if *n > completions {
			errs = append(errs, field.Invalid(at, *n, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", completions)))
		}
		if r.SucceededIndexes != nil && int(*n) > total {
			errs = append(errs, field.Invalid(at, *n, fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total)))
		}
	}
	return errs
}
