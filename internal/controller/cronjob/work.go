package cronjob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/schedule"
)

// work is one look at a cron job and what it leads to.
type work struct {
	*Controller
	key    string
	cj     *batchv1.CronJob // as it was read
	status *batchv1.CronJobStatus
	jobs   []*batchv1.Job
}

func (w *work) warn(reason, format string, args ...any) {
	w.loop.Events().Eventf(w.cj, corev1.EventTypeWarning, reason, format, args...)
}

func (w *work) tell(reason, format string, args ...any) {
	w.loop.Events().Eventf(w.cj, corev1.EventTypeNormal, reason, format, args...)
}

// do brings the status up to date, starts what is due, and deletes what is old.
func (w *work) do(ctx context.Context) error {
	for _, e := range seen(w.status, w.jobs) {
		w.loop.Events().Event(w.cj, e.kind, e.reason, e.message)
	}
	if err := w.miss(ctx); err != nil {
		return err
	}
	if w.cj.DeletionTimestamp != nil {
		return nil
	}
	return errors.Join(w.start(ctx), w.clean(ctx))
}

// miss forgets active jobs that are gone.
func (w *work) miss(ctx context.Context) error {
	for _, r := range slices.Clone(w.status.Active) {
		if slices.ContainsFunc(w.jobs, func(j *batchv1.Job) bool { return j.UID == r.UID }) {
			continue
		}
		live, err := w.config.Client.BatchV1().Jobs(w.cj.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && live.UID != r.UID:
			w.tell("MissingJob", "Active job went missing: %s", r.Name)
			w.status.Active = slices.DeleteFunc(w.status.Active, func(a corev1.ObjectReference) bool { return a.UID == r.UID })
		case err != nil:
			return fmt.Errorf("looking for active job %s: %w", r.Name, err)
		}
	}
	return nil
}

// start starts the job of the last time that was missed.
func (w *work) start(ctx context.Context) error {
	zone, err := zoneOf(w.cj)
	if err != nil {
		w.warn("UnknownTimeZone", "invalid timeZone: %q: %v", *w.cj.Spec.TimeZone, err)
		return nil // until it is changed
	}
	if s := w.cj.Spec.Suspend; s != nil && *s {
		return nil
	}
	s, err := schedule.Parse(w.cj.Spec.Schedule)
	if err != nil {
		w.warn("UnparseableSchedule", "unparseable schedule: %q : %v", w.cj.Spec.Schedule, err)
		return nil
	}
	if schedule.NamesZone(w.cj.Spec.Schedule) {
		w.warn("UnsupportedSchedule", "CRON_TZ or TZ used in schedule %q is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", w.cj.Spec.Schedule)
	}
	now := w.config.Clock.Now().In(zone)
	t := look(s, w.since(w.cj).In(zone), now, w.cj.Spec.StartingDeadlineSeconds)
	if !t.next.IsZero() {
		w.alarms.AddAfter(w.key, t.next.Sub(now)+late)
	}
	if t.many {
		w.warn("TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
	}
	if t.missed.IsZero() || w.isStarted(t.missed) {
		return nil
	}
	if isTooLate(w.cj.Spec.StartingDeadlineSeconds, t.missed, now) {
		w.warn("MissSchedule", "Missed scheduled time to start a job: %s", t.missed.UTC().Format(time.RFC1123Z))
		return nil
	}
	switch w.cj.Spec.ConcurrencyPolicy {
	case batchv1.ForbidConcurrent:
		if len(w.status.Active) > 0 {
			w.tell("JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
			return nil
		}
	case batchv1.ReplaceConcurrent:
		if err := w.replace(ctx); err != nil {
			return err
		}
	}
	return w.create(ctx, t.missed)
}

// isStarted tells whether the job of a time was started before.
func (w *work) isStarted(at time.Time) bool {
	name := jobName(w.cj, at)
	return w.cj.Status.LastScheduleTime != nil && w.cj.Status.LastScheduleTime.Equal(&metav1.Time{Time: at}) ||
		slices.ContainsFunc(w.status.Active, func(r corev1.ObjectReference) bool { return r.Name == name })
}

// replace deletes the jobs that are active.
func (w *work) replace(ctx context.Context) error {
	for _, r := range slices.Clone(w.status.Active) {
		i := slices.IndexFunc(w.jobs, func(j *batchv1.Job) bool { return j.UID == r.UID })
		if i < 0 {
			return fmt.Errorf("active job %s is not there yet", r.Name)
		}
		if err := w.remove(ctx, w.jobs[i]); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a job and what it owns.
func (w *work) remove(ctx context.Context, j *batchv1.Job) error {
	err := w.config.Client.BatchV1().Jobs(j.Namespace).Delete(ctx, j.Name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground), Preconditions: metav1.NewUIDPreconditions(string(j.UID)),
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		w.warn("FailedDelete", "Deleted job: %v", err)
		return fmt.Errorf("deleting job %s: %w", j.Name, err)
	}
	w.written.Deleted(w.cj.UID, jobsKind, j)
	w.status.Active = without(w.status.Active, j)
	w.tell("SuccessfulDelete", "Deleted job %v", j.Name)
	return nil
}

// create makes the job of a time. It may be there already, made by a look whose end was
// not written down.
func (w *work) create(ctx context.Context, at time.Time) error {
	jobs := w.config.Client.BatchV1().Jobs(w.cj.Namespace)
	j, err := jobs.Create(ctx, newJob(w.cj, at), metav1.CreateOptions{})
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case apierrors.IsAlreadyExists(err):
		if j, err = jobs.Get(ctx, jobName(w.cj, at), metav1.GetOptions{}); err == nil && !metav1.IsControlledBy(j, w.cj) {
			err = apierrors.NewAlreadyExists(batchv1.Resource("jobs"), j.Name)
		}
	case err == nil:
		w.tell("SuccessfulCreate", "Created job %v", j.Name)
	}
	if err != nil {
		w.warn("FailedCreate", "Error creating job: %v", err)
		return fmt.Errorf("creating job %s: %w", jobName(w.cj, at), err)
	}
	w.written.Wrote(w.cj.UID, jobsKind, j)
	if how, _ := ended(j); how == "" {
		w.status.Active = append(w.status.Active, corev1.ObjectReference{
			Kind: "Job", APIVersion: batchv1.SchemeGroupVersion.String(), Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion,
		})
	}
	w.status.LastScheduleTime = &metav1.Time{Time: at}
	return nil
}

// clean deletes the jobs that are more than the history is to have.
func (w *work) clean(ctx context.Context) error {
	old := append(history(w.jobs, batchv1.JobComplete, w.cj.Spec.SuccessfulJobsHistoryLimit),
		history(w.jobs, batchv1.JobFailed, w.cj.Spec.FailedJobsHistoryLimit)...)
	var errs []error
	for _, j := range old {
		errs = append(errs, w.remove(ctx, j))
	}
	return errors.Join(errs...)
}

// write stores the status where it has changed.
func (w *work) write(ctx context.Context) error {
	if equality.Semantic.DeepEqual(w.cj.Status, *w.status) {
		return nil
	}
	after := w.cj.DeepCopy()
	after.Status = *w.status
	stored, err := w.config.Client.BatchV1().CronJobs(after.Namespace).UpdateStatus(ctx, after, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		w.written.Wrote(after.UID, cronJobsKind, stored)
	}
	return err
}
