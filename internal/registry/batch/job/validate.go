package job

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
)

// Bounds of jobs whose pods have indexes.
const (
	maxParallelism   = 100_000
	maxFailedIndexes = 100_000
	// manyCompletions is how many a job may have without saying how many may fail.
	manyCompletions = 100_000
	// maxWithMany is the bound of parallelism and maxFailedIndexes beyond that.
	maxWithMany = 10_000
	maxManager  = 63
)

func validate(j *batchv1.Job) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateGenerated(j)
	errs = append(errs, ValidateSpec(&j.Spec, path)...)
	errs = append(errs, validateSelector(&j.Spec, path)...)
	if indexed(&j.Spec) && ptr.Deref(j.Spec.Completions, 0) > 0 {
		last := fmt.Sprintf("%s-%d", j.Name, *j.Spec.Completions-1)
		if len(validation.IsDNS1123Label(last)) > 0 {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), j.Name, "will not able to create pod with invalid DNS label: "+last))
		}
	}
	return errs
}

func indexed(s *batchv1.JobSpec) bool {
	return ptr.Deref(s.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}

// validateGenerated refuses labels and selectors that contradict those that are made.
func validateGenerated(j *batchv1.Job) field.ErrorList {
	if ptr.Deref(j.Spec.ManualSelector, false) || j.Spec.Selector == nil {
		return nil
	}
	var errs field.ErrorList
	if j.UID == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "uid"), ""))
	}
	want := generatedLabels(j)
	path := field.NewPath("spec", "template", "metadata", "labels")
	for _, key := range []string{batchv1.ControllerUidLabel, batchv1.JobNameLabel, oldUIDLabel, oldNameLabel} {
		must := fmt.Sprintf("must be '%s'", want[key])
		if got, ok := j.Spec.Template.Labels[key]; !ok {
			errs = append(errs, field.Required(path.Key(key), must))
		} else if got != want[key] {
			errs = append(errs, field.Invalid(path.Key(key), j.Spec.Template.Labels, must))
		}
	}
	if s, err := metav1.LabelSelectorAsSelector(j.Spec.Selector); err == nil && !s.Matches(labels.Set(want)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), j.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func validateSelector(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	if s.Selector == nil {
		return field.ErrorList{field.Required(path.Child("selector"), "")}
	}
	errs := metavalidation.ValidateLabelSelector(s.Selector, metavalidation.LabelSelectorValidationOptions{}, path.Child("selector"))
	if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil && !selector.Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	return errs
}

// ValidateSpec returns what is wrong with the spec of a job, or of a template for jobs,
// but for its selector.
func ValidateSpec(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	errs := validateNumbers(s, path)
	errs = append(errs, validateManager(s.ManagedBy, path.Child("managedBy"))...)
	if s.CompletionMode != nil {
		errs = append(errs, validateMode(s, path)...)
	}
	if !indexed(s) {
		for name, n := range map[string]*int32{"backoffLimitPerIndex": s.BackoffLimitPerIndex, "maxFailedIndexes": s.MaxFailedIndexes} {
			if n != nil {
				errs = append(errs, field.Invalid(path.Child(name), *n, needsIndexes))
			}
		}
	}
	if s.PodFailurePolicy != nil {
		errs = append(errs, validateFailurePolicy(s, path.Child("podFailurePolicy"))...)
	}
	if s.SuccessPolicy != nil {
		errs = append(errs, validateSuccessPolicy(s, path.Child("successPolicy"))...)
	}
	errs = append(errs, validateReplacement(s, path.Child("podReplacementPolicy"))...)
	if s.Scheduling != nil {
		// As upstream without its gate WorkloadWithJob: nothing schedules pods together.
		errs = append(errs, field.Forbidden(path.Child("scheduling"), ""))
	}
	errs = append(errs, podspec.ValidateTemplate(&s.Template, path.Child("template"))...)
	return append(errs, validateRestarts(s, path.Child("template", "spec", "restartPolicy"))...)
}

const needsIndexes = "requires indexed completion mode"

func validateNumbers(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range []struct {
		name  string
		value *int32
	}{
		{"parallelism", s.Parallelism}, {"completions", s.Completions}, {"backoffLimit", s.BackoffLimit},
		{"ttlSecondsAfterFinished", s.TTLSecondsAfterFinished}, {"backoffLimitPerIndex", s.BackoffLimitPerIndex}, {"maxFailedIndexes", s.MaxFailedIndexes},
	} {
		if n.value != nil {
			errs = append(errs, apivalidation.ValidateNonnegativeField(int64(*n.value), path.Child(n.name))...)
		}
	}
	if d := s.ActiveDeadlineSeconds; d != nil {
		errs = append(errs, apivalidation.ValidateNonnegativeField(*d, path.Child("activeDeadlineSeconds"))...)
	}
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(path.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	return errs
}

func validateManager(name *string, path *field.Path) field.ErrorList {
	if name == nil {
		return nil
	}
	errs := validation.IsDomainPrefixedPath(path, *name)
	if len(*name) > maxManager {
		errs = append(errs, field.TooLong(path, *name, maxManager))
	}
	return errs
}

// validateMode checks what depends on how completions are counted.
func validateMode(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	modes := []batchv1.CompletionMode{batchv1.NonIndexedCompletion, batchv1.IndexedCompletion}
	if m := *s.CompletionMode; m != modes[0] && m != modes[1] {
		errs = append(errs, field.NotSupported(path.Child("completionMode"), m, modes))
	}
	if !indexed(s) {
		return errs
	}
	atMost := func(name string, n *int32, most int32, why string) {
		if n != nil && *n > most {
			errs = append(errs, field.Invalid(path.Child(name), *n, fmt.Sprintf("must be less than or equal to %d%s", most, why)))
		}
	}
	if s.Completions == nil {
		errs = append(errs, field.Required(path.Child("completions"), "when completion mode is Indexed"))
	}
	atMost("parallelism", s.Parallelism, maxParallelism, " when completion mode is Indexed")
	if s.Completions != nil && s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "must be less than or equal to completions"))
	}
	atMost("maxFailedIndexes", s.MaxFailedIndexes, maxFailedIndexes, "")
	if ptr.Deref(s.Completions, 0) > manyCompletions && s.BackoffLimitPerIndex != nil {
		if s.MaxFailedIndexes == nil {
			errs = append(errs, field.Required(path.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
		}
		why := fmt.Sprintf(" when completions are above %d and used with backoff limit per index", manyCompletions)
		atMost("parallelism", s.Parallelism, maxWithMany, why)
		atMost("maxFailedIndexes", s.MaxFailedIndexes, maxWithMany, why)
	}
	return errs
}

func validateReplacement(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	if s.PodReplacementPolicy == nil {
		return nil
	}
	valid := []batchv1.PodReplacementPolicy{batchv1.Failed}
	if s.PodFailurePolicy == nil {
		valid = append(valid, batchv1.TerminatingOrFailed)
	}
	return oneOf(path, *s.PodReplacementPolicy, valid...)
}

func validateRestarts(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch p := s.Template.Spec.RestartPolicy; {
	case p == "" || p == corev1.RestartPolicyAlways:
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q, %q", corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever))}
	case p != corev1.RestartPolicyOnFailure && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.NotSupported(path, p, []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever})}
	case p != corev1.RestartPolicyNever && s.PodFailurePolicy != nil:
		return field.ErrorList{field.Invalid(path, p, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	}
	return nil
}
