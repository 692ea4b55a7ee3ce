package cronjob

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/schedule"
)

// tooMany is how many missed times are worth a warning.
const tooMany = 100

// times is when a cron job was and will be due.
type times struct {
	// missed is the last time that was due and was not seen to; zero where there is none.
	missed time.Time
	next   time.Time
	// many tells that far more were missed than one.
	many bool
}

// look finds the times of a schedule, from when the cron job was last seen to.
func look(s schedule.Schedule, from, now time.Time, startingDeadline *int64) times {
	if startingDeadline != nil && *startingDeadline <= math.MaxInt32 {
		if earliest := now.Add(-time.Duration(*startingDeadline) * time.Second); earliest.After(from) {
			from = earliest
		}
	}
	first := s.Next(from)
	if first.IsZero() || first.After(now) {
		return times{next: first}
	}
	n := 0
	for at := first; !at.IsZero() && !at.After(now) && n <= tooMany; at = s.Next(at) {
		n++
	}
	t := times{many: n > tooMany}
	if every := s.Every(); every > 0 {
		t.missed = first.Add(now.Sub(first).Truncate(every))
		t.next = t.missed.Add(every)
		return t
	}
	t.missed, t.next = lastBefore(s, from, now), s.Next(now)
	return t
}

// lastBefore is the last time of a schedule that has one between from and now. It looks
// for it near the end, in a span that is doubled until it has one: there may be a time in
// every minute of years.
func lastBefore(s schedule.Schedule, from, now time.Time) time.Time {
	for back := time.Minute; ; back *= 2 {
		at := now.Add(-back)
		if at.Before(from) || back > maxSpan {
			at = from
		}
		if last, n := lastIn(s, at, now); n > 0 || at.Equal(from) {
			return last
		}
	}
}

// maxSpan ends the doubling of spans: schedules have a time in five years, or none.
const maxSpan = 8 * 365 * 24 * time.Hour

// lastIn is the last time after from and not after now, and how many there are.
func lastIn(s schedule.Schedule, from, now time.Time) (last time.Time, n int) {
	for at := s.Next(from); !at.IsZero() && !at.After(now); at = s.Next(at) {
		last = at
		n++
	}
	return last, n
}

// jobName is the name of the job of a time.
func jobName(c *batchv1.CronJob, at time.Time) string {
	return fmt.Sprintf("%s-%d", c.Name, at.Unix()/60)
}

// newJob is what a cron job starts at a time.
func newJob(c *batchv1.CronJob, at time.Time) *batchv1.Job {
	t := c.Spec.JobTemplate.DeepCopy()
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: jobName(c, at), Namespace: c.Namespace, Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, kind)},
		},
		Spec: t.Spec,
	}
	if j.Annotations == nil {
		j.Annotations = map[string]string{}
	}
	j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = at.Format(time.RFC3339)
	return j
}

// ended returns how a job ended: Complete, Failed, or "" while it goes on.
func ended(j *batchv1.Job) (batchv1.JobConditionType, time.Time) {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.Type, c.LastTransitionTime.Time
		}
	}
	return "", time.Time{}
}

// history are the jobs to be deleted: the oldest of those that ended in a way beyond a
// limit.
func history(jobs []*batchv1.Job, how batchv1.JobConditionType, limit *int32) []*batchv1.Job {
	if limit == nil {
		return nil
	}
	var all []*batchv1.Job
	for _, j := range jobs {
		if end, _ := ended(j); end == how && j.DeletionTimestamp == nil {
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b *batchv1.Job) int {
		x, y := a.Status.StartTime, b.Status.StartTime
		switch {
		case x == nil && y == nil || x != nil && y != nil && x.Equal(y):
			return cmp.Compare(a.Name, b.Name)
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		return x.Compare(y.Time)
	})
	return all[:max(len(all)-int(*limit), 0)]
}

// event is one to be recorded at a cron job.
type event struct{ kind, reason, message string }

// seen brings a status up to what the jobs of a cron job show: which are active, and when
// the last succeeded.
func seen(s *batchv1.CronJobStatus, jobs []*batchv1.Job) (events []event) {
	for _, j := range jobs {
		how, at := ended(j)
		listed := slices.ContainsFunc(s.Active, func(r corev1.ObjectReference) bool { return r.UID == j.UID })
		switch {
		case !listed && how == "":
			events = append(events, event{corev1.EventTypeWarning, "UnexpectedJob", "Saw a job that the controller did not create or forgot: " + j.Name})
		case listed && how != "":
			s.Active = without(s.Active, j)
			events = append(events, event{corev1.EventTypeNormal, "SawCompletedJob", fmt.Sprintf("Saw completed job: %s, condition: %s", j.Name, how)})
		}
		if how == batchv1.JobComplete {
			if j.Status.CompletionTime != nil {
				at = j.Status.CompletionTime.Time
			}
			if s.LastSuccessfulTime == nil || at.After(s.LastSuccessfulTime.Time) {
				s.LastSuccessfulTime = &metav1.Time{Time: at}
			}
		}
	}
	return events
}

// without is a list of references without that to a job.
func without(all []corev1.ObjectReference, j *batchv1.Job) []corev1.ObjectReference {
	return slices.DeleteFunc(slices.Clone(all), func(r corev1.ObjectReference) bool { return r.UID == j.UID })
}

// zoneOf is the zone that a cron job's schedule is in.
func zoneOf(c *batchv1.CronJob) (*time.Location, error) {
	if c.Spec.TimeZone == nil {
		return time.Local, nil
	}
	return schedule.Zone(*c.Spec.TimeZone)
}

// isTooLate tells whether the job of a time is not to be started any more.
func isTooLate(startingDeadline *int64, at, now time.Time) bool {
	return startingDeadline != nil && *startingDeadline <= math.MaxInt32 && at.Add(time.Duration(*startingDeadline)*time.Second).Before(now)
}
