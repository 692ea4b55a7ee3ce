package job

import (
	"math"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
)

// setDefaults fills in what a job leaves open.
func setDefaults(j *batchv1.Job) {
	s := &j.Spec
	if s.Completions == nil && s.Parallelism == nil {
		s.Completions = new(int32(1))
	}
	fill(&s.Parallelism, 1)
	if s.BackoffLimitPerIndex != nil {
		fill(&s.BackoffLimit, math.MaxInt32)
	}
	fill(&s.BackoffLimit, 6)
	fill(&s.CompletionMode, batchv1.NonIndexedCompletion)
	fill(&s.Suspend, false)
	fill(&s.ManualSelector, false)
	if s.PodFailurePolicy != nil {
		fill(&s.PodReplacementPolicy, batchv1.Failed)
	}
	fill(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	// The labels are those of the template by then, be they made later.
	if labels := s.Template.Labels; labels != nil && len(j.Labels) == 0 {
		j.Labels = labels
	}
	SetSpecDefaults(s)
}

// SetSpecDefaults fills in what a job and the template of one leave open.
func SetSpecDefaults(s *batchv1.JobSpec) {
	podspec.SetDefaults(&s.Template.Spec)
	if s.PodFailurePolicy == nil {
		return
	}
	for i := range s.PodFailurePolicy.Rules {
		conditions := s.PodFailurePolicy.Rules[i].OnPodConditions
		for j := range conditions {
			if conditions[j].Status == "" {
				conditions[j].Status = corev1.ConditionTrue
			}
		}
	}
}

func fill[T any](to **T, value T) {
	if *to == nil {
		*to = &value
	}
}

// Labels of the pods of a job before their names had a prefix.
const (
	oldUIDLabel  = "controller-uid"
	oldNameLabel = "job-name"
)

// generateSelector has a job select the pods that are labelled with its UID, and its
// template label them so, unless it says that it selects by itself.
func generateSelector(j *batchv1.Job) {
	if ptr.Deref(j.Spec.ManualSelector, false) {
		return
	}
	template := &j.Spec.Template
	if template.Labels == nil {
		template.Labels = map[string]string{}
	}
	for key, value := range generatedLabels(j) {
		if _, ok := template.Labels[key]; !ok {
			template.Labels[key] = value
		}
	}
	if j.Spec.Selector == nil {
		j.Spec.Selector = &metav1.LabelSelector{}
	}
	if j.Spec.Selector.MatchLabels == nil {
		j.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, ok := j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel]; !ok {
		j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(j.UID)
	}
	if len(j.Labels) == 0 {
		j.Labels = template.Labels
	}
}

// generatedLabels are those of the pods of a job.
func generatedLabels(j *batchv1.Job) map[string]string {
	return map[string]string{
		batchv1.ControllerUidLabel: string(j.UID),
		batchv1.JobNameLabel:       j.Name,
		oldUIDLabel:                string(j.UID),
		oldNameLabel:               j.Name,
	}
}
