package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestConformanceJobs(t *testing.T) {
	d := newDesk(t)
	jobs, pods := d.client.BatchV1().Jobs(d.ns), d.client.CoreV1().Pods(d.ns)

	d.conforms(t, "[sig-apps] Job should adopt matching orphans and release non-matching pods", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) { s.Parallelism, s.Completions = new(int32(2)), new(int32(2)) })
		p := d.begin(t, j, 2)[0]
		patch := func(text string) {
			t.Helper()
			if _, err := pods.Patch(t.Context(), p.Name, types.MergePatchType, []byte(text), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		owned := func(want bool) {
			t.Helper()
			eventually(t, 10*time.Second, func() error {
				now, err := pods.Get(t.Context(), p.Name, metav1.GetOptions{})
				if err == nil && (metav1.IsControlledBy(now, j) != want || slices.Contains(now.Finalizers, batchv1.JobTrackingFinalizer) != want) {
					err = fmt.Errorf("owners %v and finalizers %v, to be the job's: %v", now.OwnerReferences, now.Finalizers, want)
				}
				return err
			})
		}
		owned(true)
		patch(`{"metadata":{"ownerReferences":null}}`)
		owned(true)
		patch(`{"metadata":{"labels":null}}`)
		owned(false)
	})

	d.conforms(t, "[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			s.BackoffLimit = new(int32(0))
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action:          batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
			}}}
		})
		p := d.begin(t, j, 1)[0]
		if err := pods.EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name}}); err != nil {
			t.Fatal(err)
		}
		evicted, err := pods.Get(t.Context(), p.Name, metav1.GetOptions{})
		if err != nil || evicted.DeletionTimestamp == nil || !slices.ContainsFunc(evicted.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget }) {
			t.Fatalf("the evicted pod is %+v, %v", evicted.Status, err)
		}
		d.end(t, *evicted, 137)
		d.end(t, d.begin(t, j, 1)[0], 0)
		if j = d.completes(t, j, batchv1.JobReasonCompletionsReached); j.Status.Failed != 0 || j.Status.Succeeded != 1 {
			t.Errorf("status %+v", j.Status)
		}
	})

	d.conforms(t, "[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{onExit(batchv1.PodFailurePolicyActionFailJob, 1)}}
		})
		p := d.begin(t, j, 1)[0]
		d.end(t, p, 1)
		j = d.fails(t, j, batchv1.JobReasonPodFailurePolicy)
		want := fmt.Sprintf("Container main for pod %s/%s failed with exit code 1 matching FailJob rule at index 0", d.ns, p.Name)
		if c := j.Status.Conditions; c[len(c)-1].Message != want || j.Status.Failed != 1 {
			t.Errorf("status %+v, want %s", j.Status, want)
		}
	})

	d.conforms(t, "[sig-apps] Job should apply changes to a job status", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) { s.Suspend = new(true) })
		d.awaits(t, j, "suspended", func(j *batchv1.Job) bool { return hasCondition(j, batchv1.JobSuspended, "JobSuspended") })
		start := metav1.NewTime(time.Now().Truncate(time.Second))
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"startTime":%q}}`, start.UTC().Format(time.RFC3339))
		patched, err := jobs.Patch(t.Context(), j.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		if err != nil || !patched.Status.StartTime.Equal(&start) || patched.Annotations["patchedstatus"] != "true" {
			t.Fatalf("patched to %+v, %v", patched, err)
		}
		later := metav1.NewTime(start.Add(time.Second))
		patched.Status.StartTime, patched.Spec.Parallelism = &later, new(int32(9))
		if now, err := jobs.UpdateStatus(t.Context(), patched, metav1.UpdateOptions{}); err != nil || !now.Status.StartTime.Equal(&later) || *now.Spec.Parallelism != 1 {
			t.Errorf("updated to %+v, %v", now, err)
		}
		if out := d.sh(t, "kubectl -n "+d.ns+" get job "+j.Name+" --subresource=status -o jsonpath={.status.startTime}"); out != later.UTC().Format(time.RFC3339) {
			t.Errorf("the status has %q", out)
		}
	})

	d.conforms(t, "[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			indexed(s, 4)
			s.Parallelism = new(int32(2))
		})
		seen := map[int]bool{}
		for len(seen) < 4 {
			for _, p := range d.going(t, j) {
				ix := index(&p)
				name := fmt.Sprintf("%s-%d", j.Name, ix)
				e := p.Spec.Containers[0].Env
				if seen[ix] || p.Spec.Hostname != name || !strings.HasPrefix(p.Name, name+"-") || p.Labels[batchv1.JobCompletionIndexAnnotation] != fmt.Sprint(ix) ||
					len(e) != 1 || e[0].Name != "JOB_COMPLETION_INDEX" || e[0].ValueFrom.FieldRef.FieldPath != "metadata.labels['batch.kubernetes.io/job-completion-index']" {
					t.Fatalf("pod %s of index %d: %+v", p.Name, ix, p.Spec)
				}
				seen[ix] = true
				d.end(t, p, 0)
			}
		}
		if j = d.completes(t, j, batchv1.JobReasonCompletionsReached); j.Status.CompletedIndexes != "0-3" || j.Status.Succeeded != 4 {
			t.Errorf("status %+v", j.Status)
		}
	})

	d.conforms(t, "[sig-apps] Job should manage the lifecycle of a job", func(t *testing.T) { d.livesAsJob(t) })
}

// livesAsJob changes a job in all ways.
func (d desk) livesAsJob(t *testing.T) {
	jobs := d.client.BatchV1().Jobs(d.ns)
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: d.name("job"), Labels: map[string]string{"life": "of-a-job"}}, Spec: jobSpec()}
	j.Spec.Suspend, j.Spec.Parallelism, j.Spec.Completions = new(true), new(int32(2)), new(int32(4))
	j, err := jobs.Create(t.Context(), j, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.awaits(t, j, "suspended", func(j *batchv1.Job) bool { return hasCondition(j, batchv1.JobSuspended, "JobSuspended") })
	if n := len(d.going(t, j)); n != 0 {
		t.Errorf("%d pods of a suspended job", n)
	}
	if j, err = jobs.Patch(t.Context(), j.Name, types.StrategicMergePatchType, []byte(`{"spec":{"suspend":false},"metadata":{"labels":{"patched":"true"}}}`), metav1.PatchOptions{}); err != nil || j.Labels["patched"] != "true" {
		t.Fatalf("patched to %+v, %v", j, err)
	}
	for range 2 {
		for _, p := range d.begin(t, j, 2) {
			d.end(t, p, 0)
		}
		d.awaits(t, j, "counted", func(j *batchv1.Job) bool { return j.Status.Succeeded%2 == 0 && j.Status.Succeeded > 0 })
	}
	j = d.completes(t, j, batchv1.JobReasonCompletionsReached)
	if j.Status.Succeeded != 4 || j.Status.Failed != 0 {
		t.Errorf("status %+v", j.Status)
	}
	j.Annotations = map[string]string{"updated": "true"}
	if j, err = jobs.Update(t.Context(), j, metav1.UpdateOptions{}); err != nil || j.Annotations["updated"] != "true" {
		t.Fatalf("updated to %+v, %v", j, err)
	}
	all, err := d.client.BatchV1().Jobs("").List(t.Context(), metav1.ListOptions{LabelSelector: "life=of-a-job"})
	if err != nil || len(all.Items) != 1 || all.Items[0].Name != j.Name {
		t.Fatalf("listed %+v, %v", all, err)
	}
	background := metav1.DeletePropagationBackground
	if err := jobs.DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{LabelSelector: "life=of-a-job"}); err != nil {
		t.Fatal(err)
	}
	if all, err = jobs.List(t.Context(), metav1.ListOptions{LabelSelector: "life=of-a-job"}); err != nil || len(all.Items) != 0 {
		t.Errorf("left are %+v, %v", all, err)
	}
}

func onExit(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		ContainerName: new("main"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
	}}
}

func TestConformanceIndexedJobs(t *testing.T) {
	d := newDesk(t)
	odd := func(index int) (int32, bool) { return int32(1 - index%2), true } // even indexes fail
	failed := func(j *batchv1.Job) string {
		if j.Status.FailedIndexes == nil {
			return "none"
		}
		return *j.Status.FailedIndexes
	}
	d.conforms(t, "[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			indexed(s, 4)
			s.BackoffLimitPerIndex = new(int32(1))
		})
		d.play(t, j, odd)
		j = d.fails(t, j, batchv1.JobReasonFailedIndexes)
		if failed(j) != "0,2" || j.Status.CompletedIndexes != "1,3" || j.Status.Failed != 4 || j.Status.Succeeded != 2 {
			t.Errorf("status %+v, failed are %s", j.Status, failed(j))
		}
	})
	d.conforms(t, "[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			indexed(s, 2)
			s.BackoffLimitPerIndex = new(int32(1))
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{onExit(batchv1.PodFailurePolicyActionFailIndex, 1)}}
		})
		d.play(t, j, odd)
		j = d.fails(t, j, batchv1.JobReasonFailedIndexes)
		if failed(j) != "0" || j.Status.CompletedIndexes != "1" || j.Status.Failed != 1 || j.Status.Succeeded != 1 {
			t.Errorf("status %+v, failed are %s", j.Status, failed(j))
		}
	})
	d.conforms(t, "[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) {
			indexed(s, 10)
			s.Parallelism, s.BackoffLimitPerIndex, s.MaxFailedIndexes = new(int32(1)), new(int32(0)), new(int32(4))
		})
		d.play(t, j, func(int) (int32, bool) { return 1, true })
		j = d.fails(t, j, batchv1.JobReasonMaxFailedIndexesExceeded)
		if failed(j) != "0-4" || j.Status.CompletedIndexes != "" || j.Status.Failed != 5 {
			t.Errorf("status %+v, failed are %s", j.Status, failed(j))
		}
	})
	// Of the rest, only the first index succeeds.
	first := func(index int) (int32, bool) { return 0, index == 0 }
	policy := func(s *batchv1.JobSpec, rule *batchv1.SuccessPolicyRule) {
		indexed(s, 2)
		if rule != nil {
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{*rule}}
		}
	}
	for _, tc := range []struct {
		behaviour string
		rule      batchv1.SuccessPolicyRule
	}{
		{behaviour: "[sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending", rule: batchv1.SuccessPolicyRule{SucceededIndexes: new("0")}},
		{behaviour: "[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending", rule: batchv1.SuccessPolicyRule{SucceededCount: new(int32(1))}},
	} {
		d.conforms(t, tc.behaviour, func(t *testing.T) {
			j := d.job(t, func(s *batchv1.JobSpec) { policy(s, &tc.rule) })
			d.begin(t, j, 2)
			d.play(t, j, first)
			j = d.completes(t, j, batchv1.JobReasonSuccessPolicy)
			if c := j.Status.Conditions; j.Status.CompletedIndexes != "0" || j.Status.Succeeded != 1 || c[0].Message != "Matched rules at index 0" {
				t.Errorf("status %+v", j.Status)
			}
			if n := len(d.going(t, j)); n != 0 {
				t.Errorf("%d pods go on", n)
			}
		})
	}
	d.conforms(t, "[sig-apps] Job with successPolicy should succeeded when all indexes succeeded", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) { policy(s, &batchv1.SuccessPolicyRule{SucceededIndexes: new("0,1")}) })
		d.play(t, j, func(int) (int32, bool) { return 0, true })
		if j = d.completes(t, j, batchv1.JobReasonSuccessPolicy); j.Status.CompletedIndexes != "0,1" {
			t.Errorf("status %+v", j.Status)
		}
	})
}

// TestConformanceJobsInContainers is what needs containers that are restarted.
func TestConformanceJobsInContainers(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted", func(t *testing.T) {
		pod := shell("", "[ -e /data/tried ] || { touch /data/tried; exit 1; }")
		mount(pod, "/data", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
		pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: s.name("job")}, Spec: batchv1.JobSpec{
			Completions: new(int32(4)), Parallelism: new(int32(2)), Template: corev1.PodTemplateSpec{Spec: pod.Spec},
		}}
		j, err := s.client.BatchV1().Jobs(s.ns).Create(t.Context(), j, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d := desk{s}
		if j = d.completes(t, j, batchv1.JobReasonCompletionsReached); j.Status.Succeeded != 4 || j.Status.Failed != 0 {
			t.Errorf("status %+v", j.Status)
		}
		pods, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + j.Name})
		if err != nil || len(pods.Items) != 4 {
			t.Fatalf("%d pods, %v", len(pods.Items), err)
		}
		for _, p := range pods.Items {
			if p.Status.Phase != corev1.PodSucceeded || p.Status.ContainerStatuses[0].RestartCount != 1 {
				t.Errorf("pod %s: %+v", p.Name, p.Status)
			}
		}
	})
}

// TestConformanceJobsAndTheirPods is what the garbage collector has a part in.
func TestConformanceJobsAndTheirPods(t *testing.T) {
	d := newDesk(t)
	gone := func(t *testing.T, j *batchv1.Job) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			if _, err := d.client.BatchV1().Jobs(d.ns).Get(t.Context(), j.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("job %s is there, %v", j.Name, err)
			}
			pods, err := d.client.CoreV1().Pods(d.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + j.Name})
			if err == nil && len(pods.Items) > 0 {
				err = fmt.Errorf("%d pods of job %s are left", len(pods.Items), j.Name)
			}
			return err
		})
	}
	d.conforms(t, "[sig-apps] Job should delete a job", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) { s.Parallelism, s.Completions = new(int32(2)), new(int32(2)) })
		d.begin(t, j, 2)
		d.sh(t, "kubectl -n "+d.ns+" delete job "+j.Name)
		gone(t, j)
	})
	t.Run("a job goes with its pods when its time has come", func(t *testing.T) {
		j := d.job(t, func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = new(int32(3600)) })
		d.end(t, d.begin(t, j, 1)[0], 0)
		d.completes(t, j, batchv1.JobReasonCompletionsReached)
		d.advance(t, 59*time.Minute)
		d.completes(t, j, batchv1.JobReasonCompletionsReached) // it is there
		d.advance(t, time.Minute)
		gone(t, j)
	})
	t.Run("a DELETE that does not say leaves the pods", func(t *testing.T) {
		j := d.job(t, nil)
		d.begin(t, j, 1)
		if err := d.client.BatchV1().Jobs(d.ns).Delete(t.Context(), j.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func() error {
			pods, err := d.client.CoreV1().Pods(d.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + j.Name})
			if err == nil && (len(pods.Items) != 1 || len(pods.Items[0].OwnerReferences) > 0 || len(pods.Items[0].Finalizers) > 0) {
				err = fmt.Errorf("pods %+v", pods.Items)
			}
			return err
		})
	})
}
