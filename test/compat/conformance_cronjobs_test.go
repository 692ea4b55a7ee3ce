package compat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// cronJob creates a cron job that is due every minute.
func (d desk) cronJob(t testing.TB, policy batchv1.ConcurrencyPolicy, change func(*batchv1.CronJob)) *batchv1.CronJob {
	t.Helper()
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: d.name("cron")}, Spec: batchv1.CronJobSpec{
		Schedule: "*/1 * * * ?", ConcurrencyPolicy: policy, JobTemplate: batchv1.JobTemplateSpec{Spec: jobSpec()},
	}}
	if change != nil {
		change(c)
	}
	made, err := d.client.BatchV1().CronJobs(d.ns).Create(t.Context(), c, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// jobsOf are the jobs of a cron job, in the order of their times.
func (d desk) jobsOf(t testing.TB, c *batchv1.CronJob) (mine []batchv1.Job) {
	t.Helper()
	all, err := d.client.BatchV1().Jobs(d.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range all.Items {
		if metav1.IsControlledBy(&j, c) && j.DeletionTimestamp == nil {
			mine = append(mine, j)
		}
	}
	return mine
}

// starts waits until a cron job has so many jobs.
func (d desk) starts(t testing.TB, c *batchv1.CronJob, n int) (mine []batchv1.Job) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if mine = d.jobsOf(t, c); len(mine) != n {
			return fmt.Errorf("cron job %s has %d jobs, want %d", c.Name, len(mine), n)
		}
		return nil
	})
	return mine
}

// seen waits until a cron job is as wanted.
func (d desk) seen(t testing.TB, c *batchv1.CronJob, wanted func(*batchv1.CronJob) bool) *batchv1.CronJob {
	t.Helper()
	var now *batchv1.CronJob
	eventually(t, 20*time.Second, func() (err error) {
		if now, err = d.client.BatchV1().CronJobs(d.ns).Get(t.Context(), c.Name, metav1.GetOptions{}); err == nil && !wanted(now) {
			err = fmt.Errorf("cron job %s is %+v", c.Name, now.Status)
		}
		return err
	})
	return now
}

func active(n int) func(*batchv1.CronJob) bool {
	return func(c *batchv1.CronJob) bool { return len(c.Status.Active) == n }
}

// TestConformanceCronJobs gives each policy a system of its own: minutes that pass for one
// pass for all.
func TestConformanceCronJobs(t *testing.T) {
	t.Parallel()
	s := &stage{}
	s.conforms(t, "[sig-apps] CronJob should schedule multiple jobs concurrently", func(t *testing.T) {
		d := deskOf(t)
		c := d.cronJob(t, batchv1.AllowConcurrent, nil)
		d.advance(t, time.Minute)
		d.starts(t, c, 1)
		d.advance(t, time.Minute)
		d.starts(t, c, 2)
		d.seen(t, c, active(2))
	})
	s.conforms(t, "[sig-apps] CronJob should not schedule jobs when suspended", func(t *testing.T) {
		d := deskOf(t)
		c := d.cronJob(t, batchv1.AllowConcurrent, func(c *batchv1.CronJob) { c.Spec.Suspend = new(true) })
		other := d.cronJob(t, batchv1.AllowConcurrent, nil)
		d.advance(t, 5*time.Minute)
		d.starts(t, other, 1) // the last of five times
		d.starts(t, c, 0)
		if got := d.seen(t, c, active(0)); got.Status.LastScheduleTime != nil {
			t.Errorf("scheduled at %v", got.Status.LastScheduleTime)
		}
	})
	s.conforms(t, "[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent", func(t *testing.T) {
		d := deskOf(t)
		c := d.cronJob(t, batchv1.ForbidConcurrent, nil)
		d.advance(t, time.Minute)
		first := d.starts(t, c, 1)[0]
		d.advance(t, time.Minute)
		d.told(t, c, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		if now := d.starts(t, c, 1)[0]; now.UID != first.UID {
			t.Errorf("job %s is in the place of %s", now.Name, first.Name)
		}
		d.end(t, d.begin(t, &first, 1)[0], 0)
		d.completes(t, &first, batchv1.JobReasonCompletionsReached)
		d.advance(t, time.Minute)
		d.seen(t, c, func(c *batchv1.CronJob) bool { return len(c.Status.Active) == 1 && c.Status.LastSuccessfulTime != nil })
	})
	s.conforms(t, "[sig-apps] CronJob should replace jobs when ReplaceConcurrent", func(t *testing.T) {
		d := deskOf(t)
		c := d.cronJob(t, batchv1.ReplaceConcurrent, nil)
		d.advance(t, time.Minute)
		first := d.starts(t, c, 1)[0]
		d.advance(t, time.Minute)
		d.seen(t, c, func(c *batchv1.CronJob) bool { return len(c.Status.Active) == 1 && c.Status.Active[0].UID != first.UID })
		if now := d.starts(t, c, 1)[0]; now.UID == first.UID {
			t.Errorf("job %s is left", now.Name)
		}
		d.told(t, c, "SuccessfulDelete", "Deleted job "+first.Name)
	})
	s.conforms(t, "[sig-apps] CronJob should support CronJob API operations", func(t *testing.T) { deskOf(t).operates(t) })
}

// told waits for an event of an object.
func (d desk) told(t testing.TB, obj metav1.Object, reason, message string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		all, err := d.client.CoreV1().Events(d.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + reason + ",involvedObject.name=" + obj.GetName()})
		if err == nil && !slices.ContainsFunc(all.Items, func(e corev1.Event) bool { return e.Message == message }) {
			err = fmt.Errorf("events of %s for %s: %+v, want %q", obj.GetName(), reason, all.Items, message)
		}
		return err
	})
}

// operates asks for all that the API does with cron jobs.
func (d desk) operates(t *testing.T) {
	cronJobs := d.client.BatchV1().CronJobs(d.ns)
	const special = "special-label=cron"
	watched, err := cronJobs.Watch(t.Context(), metav1.ListOptions{LabelSelector: special})
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Stop()
	made := func() *batchv1.CronJob {
		return d.cronJob(t, batchv1.AllowConcurrent, func(c *batchv1.CronJob) {
			c.Labels, c.Spec.Schedule = map[string]string{"special-label": "cron"}, "0 0 1 1 ?"
		})
	}
	c := made()
	made()
	if got, err := cronJobs.Get(t.Context(), c.Name, metav1.GetOptions{}); err != nil || got.UID != c.UID {
		t.Fatalf("got %+v, %v", got, err)
	}
	for _, ns := range []string{d.ns, ""} {
		if all, err := d.client.BatchV1().CronJobs(ns).List(t.Context(), metav1.ListOptions{LabelSelector: special}); err != nil || len(all.Items) != 2 {
			t.Errorf("listed in %q: %+v, %v", ns, all, err)
		}
	}
	if e := <-watched.ResultChan(); e.Type != watch.Added {
		t.Errorf("the first event is %+v", e)
	}
	patched, err := cronJobs.Patch(t.Context(), c.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patched":"true"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Annotations["patched"] != "true" || patched.Generation != 1 {
		t.Fatalf("patched to %+v, %v", patched, err)
	}
	patched.Annotations["updated"], patched.Spec.Suspend = "true", new(true)
	updated, err := cronJobs.Update(t.Context(), patched, metav1.UpdateOptions{})
	if err != nil || updated.Annotations["updated"] != "true" || updated.Generation != 2 {
		t.Fatalf("updated to %+v, %v", updated, err)
	}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	status := fmt.Sprintf(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"lastScheduleTime":%q}}`, now.UTC().Format(time.RFC3339))
	patched, err = cronJobs.Patch(t.Context(), c.Name, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	if err != nil || !patched.Status.LastScheduleTime.Equal(&now) || patched.Annotations["patchedstatus"] != "true" {
		t.Fatalf("the status is patched to %+v, %v", patched, err)
	}
	later := metav1.NewTime(now.Add(time.Second))
	patched.Status.LastScheduleTime = &later
	if updated, err = cronJobs.UpdateStatus(t.Context(), patched, metav1.UpdateOptions{}); err != nil || !updated.Status.LastScheduleTime.Equal(&later) {
		t.Fatalf("the status is updated to %+v, %v", updated, err)
	}
	if err := cronJobs.Delete(t.Context(), c.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := cronJobs.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: special}); err != nil {
		t.Fatal(err)
	}
	if all, err := cronJobs.List(t.Context(), metav1.ListOptions{LabelSelector: special}); err != nil || len(all.Items) != 0 {
		t.Errorf("left are %+v, %v", all, err)
	}
}
