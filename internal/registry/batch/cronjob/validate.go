package cronjob

import (
	batchv1 "k8s.io/api/batch/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/batch/job"
	"laterna.dev/laterna/internal/schedule"
)

// maxName leaves room for what is appended to make names of jobs.
const maxName = 52

func validate(c *batchv1.CronJob) field.ErrorList {
	errs := validateSpec(&c.Spec, nil)
	if len(c.Name) > maxName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), c.Name, "must be no more than 52 characters"))
	}
	return errs
}

// validateSpec checks a spec; old is nil for a new one.
func validateSpec(s, old *batchv1.CronJobSpec) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateSchedule(s, old, path.Child("schedule"))
	nonnegative := func(name string, n *int64) {
		if n != nil {
			errs = append(errs, apivalidation.ValidateNonnegativeField(*n, path.Child(name))...)
		}
	}
	nonnegative("startingDeadlineSeconds", s.StartingDeadlineSeconds)
	if s.TimeZone != nil && (old == nil || !ptr.Equal(old.TimeZone, s.TimeZone)) {
		if _, err := schedule.Zone(*s.TimeZone); err != nil {
			errs = append(errs, field.Invalid(path.Child("timeZone"), *s.TimeZone, err.Error()))
		}
	}
	switch policies := []batchv1.ConcurrencyPolicy{batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent}; s.ConcurrencyPolicy {
	case policies[0], policies[1], policies[2]:
	case "":
		errs = append(errs, field.Required(path.Child("concurrencyPolicy"), ""))
	default:
		errs = append(errs, field.NotSupported(path.Child("concurrencyPolicy"), s.ConcurrencyPolicy, policies))
	}
	errs = append(errs, validateTemplate(&s.JobTemplate.Spec)...)
	nonnegative("successfulJobsHistoryLimit", wide(s.SuccessfulJobsHistoryLimit))
	nonnegative("failedJobsHistoryLimit", wide(s.FailedJobsHistoryLimit))
	return errs
}

func wide(n *int32) *int64 {
	if n == nil {
		return nil
	}
	return new(int64(*n))
}

// validateSchedule lets only a schedule that named a zone before go on to name one.
func validateSchedule(s, old *batchv1.CronJobSpec, path *field.Path) field.ErrorList {
	if s.Schedule == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if _, err := schedule.Parse(s.Schedule); err != nil {
		errs = append(errs, field.Invalid(path, s.Schedule, err.Error()))
	}
	mayNameZone := old != nil && schedule.NamesZone(old.Schedule)
	switch names := schedule.NamesZone(s.Schedule); {
	case names && !mayNameZone:
		errs = append(errs, field.Invalid(path, s.Schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
	case names && s.TimeZone != nil:
		errs = append(errs, field.Invalid(path, s.Schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
	}
	return errs
}

// validateTemplate checks what jobs are made from. Their selector is made with them.
func validateTemplate(s *batchv1.JobSpec) field.ErrorList {
	errs := job.ValidateSpec(s, templatePath)
	if s.Selector != nil {
		errs = append(errs, field.Invalid(templatePath.Child("selector"), s.Selector, "`selector` will be auto-generated"))
	}
	if ptr.Deref(s.ManualSelector, false) {
		errs = append(errs, field.NotSupported(templatePath.Child("manualSelector"), "true", []string{"nil", "false"}))
	}
	return errs
}
