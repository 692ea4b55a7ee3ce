package cronjob

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/schedule"
)

// at reads a time of one day, or of another.
func at(text string) time.Time {
	if len(text) <= len("15:04:05") {
		text = "2026-11-30T" + text + "Z"
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestTimesThatWereMissed(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule     string
		from, now    string
		deadline     *int64
		missed, next string
		many         bool
	}{
		"none":                  {schedule: "0 * * * *", from: "12:00:00", now: "12:59:59", next: "13:00:00"},
		"one":                   {schedule: "0 * * * *", from: "12:00:00", now: "13:00:00", missed: "13:00:00", next: "14:00:00"},
		"the last of some":      {schedule: "*/1 * * * ?", from: "12:00:00", now: "12:05:30", missed: "12:05:00", next: "12:06:00"},
		"the last of many":      {schedule: "*/1 * * * ?", from: "2024-11-30T12:00:00Z", now: "12:05:30", missed: "12:05:00", next: "12:06:00", many: true},
		"long ago":              {schedule: "0 0 1 1 *", from: "2020-11-30T12:00:00Z", now: "12:00:00", missed: "2026-01-01T00:00:00Z", next: "2027-01-01T00:00:00Z"},
		"within its deadline":   {schedule: "0 * * * *", from: "10:00:00", now: "13:00:09", deadline: new(int64(10)), missed: "13:00:00", next: "14:00:00"},
		"behind its deadline":   {schedule: "0 * * * *", from: "10:00:00", now: "13:00:11", deadline: new(int64(10)), next: "14:00:00"},
		"not regular":           {schedule: "30 6-16/4 * * 1-5", from: "2026-11-27T14:30:00Z", now: "2026-11-30T06:31:00Z", missed: "2026-11-30T06:30:00Z", next: "2026-11-30T10:30:00Z"},
		"never":                 {schedule: "0 0 31 2 *", from: "10:00:00", now: "13:00:00"},
		"by its own steps":      {schedule: "@every 7m", from: "12:00:00", now: "12:30:00", missed: "12:28:00", next: "12:35:00"},
		"many steps":            {schedule: "@every 1s", from: "2016-11-30T12:00:00Z", now: "12:30:00", missed: "12:30:00", next: "12:30:01", many: true},
		"an unlimited deadline": {schedule: "0 * * * *", from: "12:00:00", now: "13:00:00", deadline: new(int64(1 << 62)), missed: "13:00:00", next: "14:00:00"},
	} {
		s, err := schedule.Parse(tc.schedule)
		if err != nil {
			t.Fatal(err)
		}
		got := look(s, at(tc.from), at(tc.now), tc.deadline)
		want := times{many: tc.many}
		if tc.missed != "" {
			want.missed = at(tc.missed)
		}
		if tc.next != "" {
			want.next = at(tc.next)
		}
		if !got.missed.Equal(want.missed) || !got.next.Equal(want.next) || got.many != want.many {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func ending(name string, how batchv1.JobConditionType, start string) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}}
	if start != "" {
		j.Status.StartTime = &metav1.Time{Time: at(start)}
	}
	if how != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: at(start)}}}
	}
	return j
}

func TestHistory(t *testing.T) {
	jobs := []*batchv1.Job{
		ending("c", batchv1.JobComplete, "12:03:00"), ending("a", batchv1.JobComplete, "12:01:00"), ending("b", batchv1.JobComplete, "12:02:00"),
		ending("f", batchv1.JobFailed, "12:00:00"), ending("runs", "", "12:00:00"),
	}
	for limit, want := range map[int32]string{0: "a b c", 2: "a", 3: "", 9: ""} {
		var got []string
		for _, j := range history(jobs, batchv1.JobComplete, &limit) {
			got = append(got, j.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("beyond %d are %v, want %s", limit, got, want)
		}
	}
	if got := history(jobs, batchv1.JobComplete, nil); got != nil {
		t.Errorf("without a limit %d go", len(got))
	}
}

func TestStatusFollowsTheJobs(t *testing.T) {
	s := &batchv1.CronJobStatus{Active: []corev1.ObjectReference{{UID: "done", Name: "done"}, {UID: "runs", Name: "runs"}, {UID: "gone", Name: "gone"}}}
	events := seen(s, []*batchv1.Job{ending("done", batchv1.JobComplete, "12:00:00"), ending("runs", "", ""), ending("strange", "", ""), ending("old", batchv1.JobFailed, "11:00:00")})
	want := "[{Normal SawCompletedJob Saw completed job: done, condition: Complete} {Warning UnexpectedJob Saw a job that the controller did not create or forgot: strange}]"
	if got := fmt.Sprint(events); got != want {
		t.Errorf("events %s", got)
	}
	if len(s.Active) != 2 || s.LastSuccessfulTime == nil || !s.LastSuccessfulTime.Time.Equal(at("12:00:00")) {
		t.Errorf("status %+v", s)
	}
}

func TestJobOfATime(t *testing.T) {
	zone, err := schedule.Zone("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hourly", UID: "u"}}
	c.Spec.JobTemplate.Labels = map[string]string{"a": "b"}
	c.Spec.JobTemplate.Spec.BackoffLimit = new(int32(1))
	j := newJob(c, at("12:00:00").In(zone))
	if j.Name != fmt.Sprintf("hourly-%d", at("12:00:00").Unix()/60) || j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] != "2026-11-30T21:00:00+09:00" {
		t.Errorf("job %s of %v", j.Name, j.Annotations)
	}
	if !metav1.IsControlledBy(j, c) || j.Labels["a"] != "b" || *j.Spec.BackoffLimit != 1 || c.Spec.JobTemplate.Annotations != nil {
		t.Errorf("job %+v", j)
	}
}
