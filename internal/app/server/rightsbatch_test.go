package server

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/controller/testclock"
)

// batch has jobs run, on a schedule too, and go.
func (w *world) batch() {
	ctx := w.Context()
	jobs, cronJobs, pods := w.admin.BatchV1().Jobs("default"), w.admin.BatchV1().CronJobs("default"), w.admin.CoreV1().Pods("default")
	spec := batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}},
	}}}
	job, err := jobs.Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job"}, Spec: spec}, metav1.CreateOptions{})
	w.must(err)
	podsOf := func() []corev1.Pod {
		all, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "job-name=job"})
		w.must(err)
		return all.Items
	}
	w.eventually("the job has a pod", func() bool { return len(podsOf()) == 1 })
	pod := podsOf()[0].Name
	_, err = pods.Patch(ctx, pod, types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the pod is adopted", func() bool {
		p, err := pods.Get(ctx, pod, metav1.GetOptions{})
		return err == nil && metav1.IsControlledBy(p, job)
	})
	_, err = jobs.Patch(ctx, "job", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the pods of a suspended job go", func() bool { return len(podsOf()) == 0 })

	over := spec
	over.Completions, over.TTLSecondsAfterFinished = new(int32(0)), new(int32(0))
	_, err = jobs.Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "over"}, Spec: over}, metav1.CreateOptions{})
	w.must(err)
	_, err = cronJobs.Create(ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "cron"}, Spec: batchv1.CronJobSpec{
		Schedule: "* * * * *", ConcurrencyPolicy: batchv1.ReplaceConcurrent, JobTemplate: batchv1.JobTemplateSpec{Spec: spec},
	}}, metav1.CreateOptions{})
	w.must(err)
	active := ""
	for _, what := range []string{"a job is started", "a job is replaced"} {
		_, err = testclock.Advance(ctx, w.admin, time.Minute)
		w.must(err)
		w.eventually(what, func() bool {
			c, err := cronJobs.Get(ctx, "cron", metav1.GetOptions{})
			if err != nil || len(c.Status.Active) != 1 || c.Status.Active[0].Name == active {
				return false
			}
			active = c.Status.Active[0].Name
			return true
		})
	}
	_, err = cronJobs.Patch(ctx, "cron", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("a job is missed", func() bool {
		c, err := cronJobs.Get(ctx, "cron", metav1.GetOptions{})
		if err == nil && len(c.Status.Active) > 0 {
			_ = jobs.Delete(ctx, c.Status.Active[0].Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
			return false
		}
		return err == nil
	})
}
