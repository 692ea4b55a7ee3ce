package job

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*batchv1.Job] {
	return resource.Columns[*batchv1.Job]{
		Columns: append([]resource.Column{
			resource.Name(),
			{Name: "Status", Type: "string", Description: "Status of the job."},
			{Name: "Completions", Type: "string", Description: batchv1.JobStatus{}.SwaggerDoc()["succeeded"]},
			{Name: "Duration", Type: "string", Description: "Time required to complete the job."},
			resource.AgeColumn(),
		}, TemplateColumns()...),
		Row: func(j *batchv1.Job) []any {
			return append([]any{j.Name, state(j), completions(j), took(&j.Status), resource.Age(j)}, TemplateCells(&j.Spec)...)
		},
	}
}

// TemplateColumns are the wide columns of what has a template for pods of jobs.
func TemplateColumns() []resource.Column {
	return []resource.Column{
		{Name: "Containers", Type: "string", Priority: 1, Description: "Names of each container in the template."},
		{Name: "Images", Type: "string", Priority: 1, Description: "Images referenced by each container in the template."},
		{Name: "Selector", Type: "string", Priority: 1, Description: batchv1.JobSpec{}.SwaggerDoc()["selector"]},
	}
}

// TemplateCells are the cells of TemplateColumns.
func TemplateCells(s *batchv1.JobSpec) []any {
	join := func(of func(corev1.Container) string) string {
		var all []string
		for _, c := range s.Template.Spec.Containers {
			all = append(all, of(c))
		}
		return strings.Join(all, ",")
	}
	return []any{
		join(func(c corev1.Container) string { return c.Name }),
		join(func(c corev1.Container) string { return c.Image }),
		metav1.FormatLabelSelector(s.Selector),
	}
}

func state(j *batchv1.Job) string {
	is := func(c batchv1.JobConditionType) bool { return isTrue(&j.Status, c) }
	switch {
	case is(batchv1.JobComplete):
		return "Complete"
	case is(batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	}
	for _, c := range []batchv1.JobConditionType{batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet} {
		if is(c) {
			return string(c)
		}
	}
	return "Running"
}

func completions(j *batchv1.Job) string {
	parallelism := ptr.Deref(j.Spec.Parallelism, 0)
	switch {
	case j.Spec.Completions != nil:
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *j.Spec.Completions)
	case parallelism > 1:
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, parallelism)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func took(s *batchv1.JobStatus) string {
	switch {
	case s.StartTime == nil:
		return ""
	case s.CompletionTime == nil:
		return resource.Since(*s.StartTime)
	}
	return duration.HumanDuration(s.CompletionTime.Sub(s.StartTime.Time))
}

// NameWarnings warns of names that are no names of hosts, which pods' are made from.
func NameWarnings(name string) []string {
	msgs := validation.IsDNS1123Label(name)
	if len(msgs) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
}

// SpecWarnings returns what is allowed in a job, or in a template for jobs, and still
// likely a mistake.
func SpecWarnings(s *batchv1.JobSpec, path *field.Path) []string {
	var texts []string
	if indexed(s) && ptr.Deref(s.Completions, 0) > manyCompletions && ptr.Deref(s.Parallelism, 0) > maxWithMany {
		texts = append(texts, path.String()+": In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail")
	}
	return append(texts, podspec.Warnings(&s.Template.ObjectMeta, &s.Template.Spec, path.Child("template"))...)
}
