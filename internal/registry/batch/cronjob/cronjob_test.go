package cronjob

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func cronJob(schedule string, change ...func(*batchv1.CronJobSpec)) *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hourly"}}
	c.Spec.Schedule = schedule
	c.Spec.JobTemplate.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "c", Image: "busybox"}},
	}
	for _, f := range change {
		f(&c.Spec)
	}
	setDefaults(c)
	return c
}

func zone(name string) func(*batchv1.CronJobSpec) {
	return func(s *batchv1.CronJobSpec) { s.TimeZone = &name }
}

func TestDefaults(t *testing.T) {
	s := cronJob("@hourly").Spec
	if s.ConcurrencyPolicy != batchv1.AllowConcurrent || *s.Suspend || *s.SuccessfulJobsHistoryLimit != 3 || *s.FailedJobsHistoryLimit != 1 {
		t.Errorf("defaults %+v", s)
	}
	if s.JobTemplate.Spec.BackoffLimit != nil || s.JobTemplate.Spec.Template.Spec.DNSPolicy == "" {
		t.Errorf("of the template only the pod's has defaults: %+v", s.JobTemplate.Spec)
	}
}

func TestCronJobsThatAreRefused(t *testing.T) {
	long := cronJob("@hourly")
	long.Name = strings.Repeat("a", 53)
	for name, tc := range map[string]struct {
		c    *batchv1.CronJob
		want string
	}{
		"good":             {cronJob("*/1 * * * ?"), ""},
		"in a zone":        {cronJob("@daily", zone("Europe/Zurich")), ""},
		"no schedule":      {cronJob(""), "spec.schedule: Required value"},
		"four fields":      {cronJob("* * * *"), `spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]`},
		"a zone inside":    {cronJob("TZ=UTC 0 * * * *"), "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"},
		"nothing but TZ":   {cronJob("TZ=UTC"), "spec.schedule: Invalid value"},
		"no zone":          {cronJob("@daily", zone("")), "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"},
		"where it is":      {cronJob("@daily", zone("Local")), "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"},
		"nowhere":          {cronJob("@daily", zone("Mars/Phobos")), "spec.timeZone: Invalid value: \"Mars/Phobos\": unknown time zone Mars/Phobos"},
		"a long name":      {long, "must be no more than 52 characters"},
		"an odd policy":    {cronJob("@daily", func(s *batchv1.CronJobSpec) { s.ConcurrencyPolicy = "Odd" }), `supported values: "Allow", "Forbid", "Replace"`},
		"late":             {cronJob("@daily", func(s *batchv1.CronJobSpec) { s.StartingDeadlineSeconds = new(int64(-1)) }), "spec.startingDeadlineSeconds: Invalid value: -1"},
		"a selector":       {cronJob("@daily", func(s *batchv1.CronJobSpec) { s.JobTemplate.Spec.Selector = &metav1.LabelSelector{} }), "`selector` will be auto-generated"},
		"selects":          {cronJob("@daily", func(s *batchv1.CronJobSpec) { s.JobTemplate.Spec.ManualSelector = new(true) }), `spec.jobTemplate.spec.manualSelector: Unsupported value: "true": supported values: "nil", "false"`},
		"always restarted": {cronJob("@daily", func(s *batchv1.CronJobSpec) { s.JobTemplate.Spec.Template.Spec.RestartPolicy = "Always" }), "spec.jobTemplate.spec.template.spec.restartPolicy: Required value"},
	} {
		if errs := validate(tc.c); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
}

func TestSchedulesThatNamedAZoneMayGoOn(t *testing.T) {
	old := cronJob("TZ=UTC 0 * * * *")
	if errs := validateSpec(&cronJob("CRON_TZ=UTC 5 * * * *").Spec, &old.Spec); len(errs) > 0 {
		t.Error(errs)
	}
	errs := fmt.Sprint(validateSpec(&cronJob("TZ=UTC 5 * * * *", zone("Etc/UTC")).Spec, &old.Spec))
	if !strings.Contains(errs, "cannot use both timeZone field and TZ or CRON_TZ in schedule") {
		t.Error(errs)
	}
	if texts := warnChange(old, old); len(texts) != 1 || !strings.HasPrefix(texts[0], "cannot use TZ or CRON_TZ") {
		t.Errorf("warnings %q", texts)
	}
}

func TestTable(t *testing.T) {
	c := cronJob("@daily")
	c.Status.Active = []corev1.ObjectReference{{}}
	row := columns().Row(c)
	if got := fmt.Sprint(row); got != "[hourly @daily <none> False 1 <none> <unknown> c busybox <none>]" || len(row) != len(columns().Columns) {
		t.Errorf("row %s", got)
	}
}
