package compat

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// desk is a stage without a node: pods do what the test writes into their status, and time
// passes when the test moves the clock.
type desk struct{ *stage }

func newDesk(t *testing.T) desk {
	t.Helper()
	t.Parallel()
	own := started(t, "--node=false", "--test-clock")
	return desk{&stage{system: own, ns: own.namespace(t), client: own.client(t)}}
}

// job creates a job of a container that nobody runs.
func (d desk) job(t testing.TB, change func(*batchv1.JobSpec)) *batchv1.Job {
	t.Helper()
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: d.name("job")}, Spec: jobSpec()}
	if change != nil {
		change(&j.Spec)
	}
	made, err := d.client.BatchV1().Jobs(d.ns).Create(t.Context(), j, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func jobSpec() batchv1.JobSpec {
	return batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox:1.28"}},
	}}}
}

// indexed makes a job one of some indexes, all of them at once.
func indexed(s *batchv1.JobSpec, n int32) {
	s.CompletionMode, s.Completions, s.Parallelism = new(batchv1.IndexedCompletion), &n, &n
}

// awaits waits until a job is as wanted.
func (d desk) awaits(t testing.TB, j *batchv1.Job, what string, wanted func(*batchv1.Job) bool) *batchv1.Job {
	t.Helper()
	var now *batchv1.Job
	eventually(t, 20*time.Second, func() (err error) {
		if now, err = d.client.BatchV1().Jobs(d.ns).Get(t.Context(), j.Name, metav1.GetOptions{}); err == nil && !wanted(now) {
			err = fmt.Errorf("job %s is to be %s and is %+v", j.Name, what, now.Status)
		}
		return err
	})
	return now
}

// hasCondition tells whether a job has a condition, for a reason.
func hasCondition(j *batchv1.Job, of batchv1.JobConditionType, reason string) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == of && c.Status == corev1.ConditionTrue {
			return c.Reason == reason
		}
	}
	return false
}

// completes and fails wait for the end of a job, and check both of its steps.
func (d desk) completes(t testing.TB, j *batchv1.Job, reason string) *batchv1.Job {
	t.Helper()
	return d.awaits(t, j, "complete", func(j *batchv1.Job) bool {
		return hasCondition(j, batchv1.JobSuccessCriteriaMet, reason) && hasCondition(j, batchv1.JobComplete, reason)
	})
}

func (d desk) fails(t testing.TB, j *batchv1.Job, reason string) *batchv1.Job {
	t.Helper()
	return d.awaits(t, j, "failed", func(j *batchv1.Job) bool {
		return hasCondition(j, batchv1.JobFailureTarget, reason) && hasCondition(j, batchv1.JobFailed, reason)
	})
}

// going are the pods of a job that have not ended.
func (d desk) going(t testing.TB, j *batchv1.Job) (pods []corev1.Pod) {
	t.Helper()
	all, err := d.client.CoreV1().Pods(d.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + j.Name})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all.Items {
		if p.Status.Phase == corev1.PodPending && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods
}

// begin waits until so many pods of a job go on.
func (d desk) begin(t testing.TB, j *batchv1.Job, n int) (pods []corev1.Pod) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if pods = d.going(t, j); len(pods) != n {
			return fmt.Errorf("%d pods of job %s go on, want %d", len(pods), j.Name, n)
		}
		return nil
	})
	return pods
}

// index is that of a pod.
func index(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil {
		return -1
	}
	return n
}

// end has the container of a pod exit.
func (d desk) end(t testing.TB, p corev1.Pod, code int32) {
	t.Helper()
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	status := fmt.Sprintf(`{"status":{"phase":%q,"containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":%d,"finishedAt":%q}}}]}}`,
		phase, code, time.Now().UTC().Format(time.RFC3339))
	if _, err := d.client.CoreV1().Pods(d.ns).Patch(t.Context(), p.Name, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// play ends the pods of a job as they come, by their index and how often that was tried,
// and moves the clock past back-offs, until the job is over.
func (d desk) play(t testing.TB, j *batchv1.Job, code func(index int) (int32, bool)) {
	t.Helper()
	var ended strings.Builder
	eventually(t, 40*time.Second, func() error {
		for _, p := range d.going(t, j) {
			if c, ok := code(index(&p)); ok {
				fmt.Fprintf(&ended, " %d:%d", index(&p), c)
				d.end(t, p, c)
			}
		}
		now, err := d.client.BatchV1().Jobs(d.ns).Get(t.Context(), j.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !hasEnded(now) {
			d.advance(t, 11*time.Second)
			return fmt.Errorf("job %s goes on: %+v, ended are%s", j.Name, now.Status, ended.String())
		}
		return nil
	})
}

func hasEnded(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
