package job

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// validateChange refuses to change what the pods of a job depend on.
func validateChange(j, old *batchv1.Job) field.ErrorList {
	path := field.NewPath("spec")
	s, before := &j.Spec, &old.Spec
	errs := validateCompletions(s, before, path.Child("completions"))
	fixed := func(name string, value, was any) {
		errs = append(errs, apivalidation.ValidateImmutableField(value, was, path.Child(name))...)
	}
	fixed("selector", s.Selector, before.Selector)
	template := &before.Template
	if mayBePlacedAnew(old) {
		template = placedAnew(template, &s.Template)
	}
	fixed("template", &s.Template, template)
	fixed("completionMode", s.CompletionMode, before.CompletionMode)
	fixed("podFailurePolicy", s.PodFailurePolicy, before.PodFailurePolicy)
	fixed("backoffLimitPerIndex", s.BackoffLimitPerIndex, before.BackoffLimitPerIndex)
	fixed("managedBy", s.ManagedBy, before.ManagedBy)
	fixed("successPolicy", s.SuccessPolicy, before.SuccessPolicy)
	return errs
}

// validateCompletions lets a job with indexes grow and shrink.
func validateCompletions(s, old *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch {
	case !indexed(s):
		return apivalidation.ValidateImmutableField(s.Completions, old.Completions, path)
	case s.Completions == nil || apiequality.Semantic.DeepEqual(s.Completions, old.Completions) || ptr.Equal(s.Completions, s.Parallelism):
		return nil
	}
	return field.ErrorList{field.Invalid(path, s.Completions, "can only be modified in tandem with spec.parallelism")}
}

// mayBePlacedAnew tells whether where its pods run, and with how much, may still be
// changed: the job is suspended and has no pods.
func mayBePlacedAnew(j *batchv1.Job) bool {
	return ptr.Deref(j.Spec.Suspend, false) && j.Status.Active == 0 &&
		(j.Status.StartTime == nil || isTrue(&j.Status, batchv1.JobSuspended))
}

// placedAnew is the old template with what of the new one says where and with how much
// pods run.
func placedAnew(old, now *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	old = old.DeepCopy()
	to, from := &old.Spec, &now.Spec
	if from.Affinity != nil && to.Affinity == nil {
		to.Affinity = &corev1.Affinity{}
	}
	if to.Affinity != nil {
		to.Affinity.NodeAffinity = nil
		if from.Affinity != nil {
			to.Affinity.NodeAffinity = from.Affinity.NodeAffinity
		} else if *to.Affinity == (corev1.Affinity{}) {
			to.Affinity = nil
		}
	}
	to.NodeSelector, to.Tolerations, to.SchedulingGates = from.NodeSelector, from.Tolerations, from.SchedulingGates
	old.Labels, old.Annotations = now.Labels, now.Annotations
	sameResources(to.Containers, from.Containers)
	sameResources(to.InitContainers, from.InitContainers)
	return old
}

func sameResources(to, from []corev1.Container) {
	for i := range min(len(to), len(from)) {
		to[i].Resources = from[i].Resources
	}
}
