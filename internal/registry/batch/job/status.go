package job

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/indexes"
	"laterna.dev/laterna/internal/registry/bounds"
)

// isTrue tells whether a status has a condition.
func isTrue(s *batchv1.JobStatus, of batchv1.JobConditionType) bool {
	for _, c := range s.Conditions {
		if c.Type == of && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func finished(s *batchv1.JobStatus) bool {
	return isTrue(s, batchv1.JobComplete) || isTrue(s, batchv1.JobFailed)
}

// validateStatus checks the status of a job, whoever manages it. What was wrong before
// may stay so.
func validateStatus(j, old *batchv1.Job) field.ErrorList {
	path := field.NewPath("status")
	errs := validateCounters(&j.Status, path)
	errs = append(errs, validateConditionsTogether(j, old, path)...)
	errs = append(errs, validateEnd(j, old, path)...)
	errs = append(errs, validateIndexTexts(j, old, path)...)
	return append(errs, validateStatusChange(j, old, path)...)
}

func validateCounters(s *batchv1.JobStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range []struct {
		name  string
		value int32
	}{
		{"active", s.Active}, {"succeeded", s.Succeeded}, {"failed", s.Failed},
		{"ready", ptr.Deref(s.Ready, 0)}, {"terminating", ptr.Deref(s.Terminating, 0)},
	} {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(n.value), path.Child(n.name))...)
	}
	if u := s.UncountedTerminatedPods; u != nil {
		seen := map[types.UID]bool{}
		path := path.Child("uncountedTerminatedPods")
		errs = append(errs, validateUncounted(u.Succeeded, seen, path.Child("succeeded"))...)
		errs = append(errs, validateUncounted(u.Failed, seen, path.Child("failed"))...)
	}
	return errs
}

func validateUncounted(uids []types.UID, seen map[types.UID]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, uid := range uids {
		switch {
		case bounds.Full(errs):
			return errs
		case uid == "":
			errs = append(errs, field.Invalid(path.Index(i), uid, "must not be empty"))
		case seen[uid]:
			errs = append(errs, field.Duplicate(path.Index(i), uid))
		}
		seen[uid] = true
	}
	return errs
}

// validateConditionsTogether refuses conditions that contradict each other.
func validateConditionsTogether(j, old *batchv1.Job, path *field.Path) field.ErrorList {
	s, before := &j.Status, &old.Status
	complete, failed := isTrue(s, batchv1.JobComplete), isTrue(s, batchv1.JobFailed)
	met, target := isTrue(s, batchv1.JobSuccessCriteriaMet), isTrue(s, batchv1.JobFailureTarget)
	completed := complete != isTrue(before, batchv1.JobComplete)
	hasFailed := failed != isTrue(before, batchv1.JobFailed)
	hasTarget := target != isTrue(before, batchv1.JobFailureTarget)
	var errs field.ErrorList
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{complete && failed && (completed || hasFailed), "cannot set Complete=True and Failed=true conditions"},
		{complete && target && (completed || hasTarget), "cannot set Complete=True and FailureTarget=true conditions"},
		{failed && !target && hasFailed, "cannot set Failed=True condition without the FailureTarget=true condition"},
		{complete && !met && completed, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
		{met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
		{met && target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
		{complete && !met && j.Spec.SuccessPolicy != nil, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"},
	} {
		if c.wrong {
			errs = append(errs, field.Invalid(path.Child("conditions"), field.OmitValueType{}, c.text))
		}
	}
	return errs
}

// validateEnd checks what the end of a job goes with.
func validateEnd(j, old *batchv1.Job, path *field.Path) field.ErrorList {
	s, before := &j.Status, &old.Status
	var errs field.ErrorList
	complete, ended := isTrue(s, batchv1.JobComplete), finished(s)
	completed, hasEnded := complete != isTrue(before, batchv1.JobComplete), ended != finished(before)
	hasTime := !s.CompletionTime.Equal(before.CompletionTime)
	hasStart := !s.StartTime.Equal(before.StartTime)
	if s.CompletionTime != nil && !complete && (completed || hasTime) {
		errs = append(errs, field.Invalid(path.Child("completionTime"), s.CompletionTime, "cannot set completionTime when there is no Complete=True condition"))
	}
	if s.CompletionTime == nil && complete && (completed || hasTime) {
		errs = append(errs, field.Required(path.Child("completionTime"), "completionTime is required for Complete jobs"))
	}
	if s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime) && (hasStart || hasTime) {
		errs = append(errs, field.Invalid(path.Child("completionTime"), s.CompletionTime, "completionTime cannot be set before startTime"))
	}
	if ended && s.Active > 0 && (hasEnded || s.Active != before.Active) {
		errs = append(errs, field.Invalid(path.Child("active"), s.Active, "active>0 is invalid for finished job"))
	}
	if ended && s.StartTime == nil && (hasEnded || hasStart) {
		errs = append(errs, field.Required(path.Child("startTime"), "startTime is required for finished job"))
	}
	u := s.UncountedTerminatedPods
	if ended && u != nil && len(u.Succeeded)+len(u.Failed) > 0 && (hasEnded || !apiequality.Semantic.DeepEqual(u, before.UncountedTerminatedPods)) {
		errs = append(errs, field.Invalid(path.Child("uncountedTerminatedPods"), u, "uncountedTerminatedPods needs to be empty for finished job"))
	}
	if n := ptr.Deref(s.Terminating, 0); ended && n > 0 && (hasEnded || !ptr.Equal(s.Terminating, before.Terminating)) {
		errs = append(errs, field.Invalid(path.Child("terminating"), n, "terminating>0 is invalid for finished job"))
	}
	if n := ptr.Deref(s.Ready, 0); n > s.Active && (!ptr.Equal(s.Ready, before.Ready) || s.Active != before.Active) {
		errs = append(errs, field.Invalid(path.Child("ready"), n, "cannot set more ready pods than active"))
	}
	return errs
}

func validateIndexTexts(j, old *batchv1.Job, path *field.Path) field.ErrorList {
	s, before := &j.Status, &old.Status
	var errs field.ErrorList
	limit := int(ptr.Deref(j.Spec.Completions, 0))
	newCompleted, newFailed := s.CompletedIndexes != before.CompletedIndexes, !ptr.Equal(s.FailedIndexes, before.FailedIndexes)
	completed, err := indexes.Parse(s.CompletedIndexes, limit)
	if err != nil && newCompleted && j.Spec.Completions != nil {
		errs = append(errs, field.Invalid(path.Child("completedIndexes"), s.CompletedIndexes, "error parsing completedIndexes: "+err.Error()))
	}
	text := ptr.Deref(s.FailedIndexes, "")
	failed, err := indexes.Parse(text, limit)
	if err != nil && newFailed && j.Spec.Completions != nil && j.Spec.BackoffLimitPerIndex != nil {
		errs = append(errs, field.Invalid(path.Child("failedIndexes"), text, "error parsing failedIndexes: "+err.Error()))
	}
	if newCompleted && s.CompletedIndexes != "" && !indexed(&j.Spec) {
		errs = append(errs, field.Invalid(path.Child("completedIndexes"), s.CompletedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode"))
	}
	if newFailed && s.FailedIndexes != nil && j.Spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(path.Child("failedIndexes"), text, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
	}
	if n, first := completed.Common(failed); n > 0 && (newCompleted || newFailed) {
		errs = append(errs, field.Invalid(path.Child("failedIndexes"), text, fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", first)))
	}
	return errs
}

// validateStatusChange refuses to take back what was said.
func validateStatusChange(j, old *batchv1.Job, path *field.Path) field.ErrorList {
	s, before := &j.Status, &old.Status
	var errs field.ErrorList
	conditions := func(format string, args ...any) {
		errs = append(errs, field.Invalid(path.Child("conditions"), field.OmitValueType{}, fmt.Sprintf(format, args...)))
	}
	for _, c := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		if isTrue(before, c) && !isTrue(s, c) {
			conditions("cannot disable the terminal %s=True condition", c)
		}
	}
	if s.Failed < before.Failed {
		errs = append(errs, field.Invalid(path.Child("failed"), s.Failed, "cannot decrease the failed counter"))
	}
	mayShrink := indexed(&j.Spec) && ptr.Equal(j.Spec.Completions, j.Spec.Parallelism)
	if s.Succeeded < before.Succeeded && !mayShrink {
		errs = append(errs, field.Invalid(path.Child("succeeded"), s.Succeeded, "cannot decrease the succeeded counter"))
	}
	if s.CompletionTime != nil && before.CompletionTime != nil && !s.CompletionTime.Equal(before.CompletionTime) {
		errs = append(errs, field.Invalid(path.Child("completionTime"), s.CompletionTime, "completionTime cannot be mutated"))
	}
	// A job that goes on after it was suspended begins anew.
	goesOn := !ptr.Deref(j.Spec.Suspend, false) && !isTrue(before, batchv1.JobSuspended)
	if before.StartTime != nil && !before.StartTime.Equal(s.StartTime) && goesOn {
		errs = append(errs, field.Required(path.Child("startTime"), "startTime cannot be removed for unsuspended job"))
	}
	met, wasMet := isTrue(s, batchv1.JobSuccessCriteriaMet), isTrue(before, batchv1.JobSuccessCriteriaMet)
	if wasMet && !met {
		conditions("cannot disable the SuccessCriteriaMet=True condition")
	}
	if isTrue(before, batchv1.JobComplete) && !wasMet && met {
		conditions("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
	}
	return errs
}
