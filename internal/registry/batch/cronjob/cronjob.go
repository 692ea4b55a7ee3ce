// Package cronjob owns the CronJob kind of batch/v1: defaults, validation, status and
// table. The template that it makes jobs from is checked by internal/registry/batch/job,
// its schedule by internal/schedule; jobs are made in internal/controller/cronjob.
package cronjob

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/batch/job"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/schedule"
)

// Definition describes cron jobs.
func Definition() resource.Definition[*batchv1.CronJob] {
	return resource.Definition[*batchv1.CronJob]{
		GroupVersion: batchv1.SchemeGroupVersion,
		Plural:       "cronjobs",
		Singular:     "cronjob",
		ShortNames:   []string{"cj"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *batchv1.CronJob { return &batchv1.CronJob{} },
		NewList:      func() runtime.Object { return &batchv1.CronJobList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*batchv1.CronJob]{
			PrepareCreate: func(_ context.Context, c *batchv1.CronJob) {
				c.Status = batchv1.CronJobStatus{}
				c.Generation = 1
				podspec.SyncServiceAccount(&c.Spec.JobTemplate.Spec.Template.Spec)
			},
			PrepareUpdate: func(_ context.Context, c, old *batchv1.CronJob) {
				c.Status = old.Status
				podspec.SyncServiceAccount(&c.Spec.JobTemplate.Spec.Template.Spec)
				if !apiequality.Semantic.DeepEqual(c.Spec, old.Spec) {
					c.Generation = old.Generation + 1
				}
			},
			Validate: func(_ context.Context, c *batchv1.CronJob) field.ErrorList { return validate(c) },
			ValidateUpdate: func(_ context.Context, c, old *batchv1.CronJob) field.ErrorList {
				return validateSpec(&c.Spec, &old.Spec)
			},
			WarnCreate: func(_ context.Context, c *batchv1.CronJob) []string {
				return append(job.NameWarnings(c.Name), job.SpecWarnings(&c.Spec.JobTemplate.Spec, templatePath)...)
			},
			WarnUpdate: func(_ context.Context, c, old *batchv1.CronJob) []string { return warnChange(c, old) },
			Reset:      []string{"status"},
		},
		Status: &resource.Rules[*batchv1.CronJob]{
			PrepareUpdate: func(_ context.Context, c, old *batchv1.CronJob) { c.Spec = old.Spec },
			Reset:         []string{"spec"},
		},
		Columns: columns(),
	}
}

var templatePath = field.NewPath("spec", "jobTemplate", "spec")

func warnChange(c, old *batchv1.CronJob) (texts []string) {
	if c.Generation != old.Generation {
		texts = job.SpecWarnings(&c.Spec.JobTemplate.Spec, templatePath)
	}
	if schedule.NamesZone(c.Spec.Schedule) {
		texts = append(texts, "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details")
	}
	return texts
}

func setDefaults(c *batchv1.CronJob) {
	s := &c.Spec
	if s.ConcurrencyPolicy == "" {
		s.ConcurrencyPolicy = batchv1.AllowConcurrent
	}
	if s.Suspend == nil {
		s.Suspend = new(false)
	}
	if s.SuccessfulJobsHistoryLimit == nil {
		s.SuccessfulJobsHistoryLimit = new(int32(3))
	}
	if s.FailedJobsHistoryLimit == nil {
		s.FailedJobsHistoryLimit = new(int32(1))
	}
	job.SetSpecDefaults(&s.JobTemplate.Spec)
}

func columns() resource.Columns[*batchv1.CronJob] {
	spec, status := batchv1.CronJobSpec{}.SwaggerDoc(), batchv1.CronJobStatus{}.SwaggerDoc()
	return resource.Columns[*batchv1.CronJob]{
		Columns: append([]resource.Column{
			resource.Name(),
			{Name: "Schedule", Type: "string", Description: spec["schedule"]},
			{Name: "Timezone", Type: "string", Description: spec["timeZone"]},
			{Name: "Suspend", Type: "boolean", Description: spec["suspend"]},
			{Name: "Active", Type: "integer", Description: status["active"]},
			{Name: "Last Schedule", Type: "string", Description: status["lastScheduleTime"]},
			resource.AgeColumn(),
		}, job.TemplateColumns()...),
		Row: func(c *batchv1.CronJob) []any {
			zone, suspend, last := "<none>", "<unset>", "<none>"
			if c.Spec.TimeZone != nil {
				zone = *c.Spec.TimeZone
			}
			if c.Spec.Suspend != nil {
				suspend = map[bool]string{true: "True", false: "False"}[*c.Spec.Suspend]
			}
			if c.Status.LastScheduleTime != nil {
				last = resource.Since(*c.Status.LastScheduleTime)
			}
			cells := []any{c.Name, c.Spec.Schedule, zone, suspend, int64(len(c.Status.Active)), last, resource.Age(c)}
			return append(cells, job.TemplateCells(&c.Spec.JobTemplate.Spec)...)
		},
	}
}
