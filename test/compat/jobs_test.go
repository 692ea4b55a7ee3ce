package compat

import (
	"fmt"
	"os"
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
	return deskOf(t)
}

// deskOf is newDesk for a test that runs beside others already.
func deskOf(t *testing.T) desk {
	t.Helper()
	own := started(t, "--node=false", "--test-clock")
	own.sh(t, "kubectl create namespace desk")
	return desk{&stage{system: own, ns: "desk", client: own.client(t)}}
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

// TestJobsThroughRestarts kills the program in the midst of jobs: no pod is made, counted
// or lost twice.
func TestJobsThroughRestarts(t *testing.T) {
	d := newDesk(t)
	const jobs, each = 6, 12
	var all []*batchv1.Job
	for i := range jobs {
		all = append(all, d.job(t, func(s *batchv1.JobSpec) {
			s.Completions, s.Parallelism, s.BackoffLimit = new(int32(each)), new(int32(4)), new(int32(100))
			if i%2 == 0 {
				s.CompletionMode = new(batchv1.IndexedCompletion)
			}
		}))
	}
	ended, failed := map[types.UID]int{}, map[types.UID]int{}
	for round := 0; len(ended) < jobs*each; round++ {
		if round == 200 {
			t.Fatalf("%d pods have succeeded after %d rounds", len(ended), round)
		}
		for i, j := range all {
			for n, p := range d.going(t, j) {
				if ended[p.UID] > 0 || failed[p.UID] > 0 {
					continue
				}
				if n == 0 && round%5 == 4 && i == 1 {
					d.end(t, p, 1)
					failed[p.UID]++
					continue
				}
				d.end(t, p, 0)
				ended[p.UID]++
			}
		}
		switch round % 3 {
		case 0:
			time.Sleep(time.Duration(round*7%150) * time.Millisecond) // while pods are counted
			d.Kill()
			if err := d.Start(); err != nil {
				t.Fatal(err)
			}
		case 1:
			d.advance(t, 11*time.Minute) // past back-offs
		}
	}
	for i, j := range all {
		j = d.completes(t, j, batchv1.JobReasonCompletionsReached)
		if j.Status.Succeeded != each || i != 1 && j.Status.Failed != 0 || i == 1 && int(j.Status.Failed) != len(failed) {
			t.Errorf("job %s ends with %+v, %d pods have failed", j.Name, j.Status, len(failed))
		}
		pods, err := d.client.CoreV1().Pods(d.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + j.Name})
		if err != nil {
			t.Fatal(err)
		}
		want := each
		if i == 1 {
			want += len(failed)
		}
		if len(pods.Items) != want {
			t.Errorf("job %s has made %d pods, want %d", j.Name, len(pods.Items), want)
		}
		for _, p := range pods.Items {
			if len(p.Finalizers) > 0 {
				t.Errorf("pod %s is still held by %v", p.Name, p.Finalizers)
			}
		}
	}
}

func TestJobsEndInTime(t *testing.T) {
	d := newDesk(t)
	late := d.job(t, func(s *batchv1.JobSpec) {
		s.ActiveDeadlineSeconds, s.Parallelism = new(int64(60)), new(int32(2))
	})
	held := d.job(t, func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(90)) })
	d.begin(t, late, 2)
	d.begin(t, held, 1)
	suspend := func(yes bool) {
		t.Helper()
		patch := fmt.Sprintf(`{"spec":{"suspend":%v}}`, yes)
		if _, err := d.client.BatchV1().Jobs(d.ns).Patch(t.Context(), held.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	suspend(true)
	d.begin(t, held, 0)
	d.told(t, held, "Suspended", "Job suspended")
	d.advance(t, 61*time.Second)
	j := d.fails(t, late, batchv1.JobReasonDeadlineExceeded)
	if j.Status.Failed != 2 || j.Status.Active != 0 || j.Status.CompletionTime != nil {
		t.Errorf("after its deadline a job is %+v", j.Status)
	}
	d.told(t, late, "DeadlineExceeded", "Job was active longer than specified deadline")
	d.advance(t, time.Hour)
	suspend(false) // the deadline stood still
	pod := d.begin(t, held, 1)[0]
	d.told(t, held, "Resumed", "Job resumed")
	d.end(t, pod, 0)
	if j = d.completes(t, held, batchv1.JobReasonCompletionsReached); j.Status.Failed != 0 {
		t.Errorf("a suspended job counts %+v", j.Status)
	}
}

func TestCronJobsByTheirZone(t *testing.T) {
	d := newDesk(t)
	// A clock that stands at noon in the one zone.
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	noon := time.Date(now.Year(), now.Month(), now.Day()+1, 12, 0, 0, 0, zone)
	d.advance(t, noon.Add(-time.Minute).Sub(now))
	daily := func(name string) *batchv1.CronJob {
		return d.cronJob(t, batchv1.AllowConcurrent, func(c *batchv1.CronJob) {
			c.Spec.Schedule, c.Spec.TimeZone, c.Spec.SuccessfulJobsHistoryLimit = "0 12 * * *", &name, new(int32(1))
		})
	}
	tokyo, berlin := daily("Asia/Tokyo"), daily("Europe/Berlin")
	for _, c := range []*batchv1.CronJob{tokyo, berlin} {
		d.starts(t, c, 0)
	}
	d.advance(t, 2*time.Minute)
	j := d.starts(t, tokyo, 1)[0]
	if at := j.Annotations[batchv1.CronJobScheduledTimestampAnnotation]; at != noon.Format(time.RFC3339) || j.Name != fmt.Sprintf("%s-%d", tokyo.Name, noon.Unix()/60) {
		t.Errorf("job %s is of %s, want %s", j.Name, at, noon)
	}
	d.starts(t, berlin, 0)
	d.told(t, tokyo, "SuccessfulCreate", "Created job "+j.Name)
	d.end(t, d.begin(t, &j, 1)[0], 0)
	d.told(t, tokyo, "SawCompletedJob", "Saw completed job: "+j.Name+", condition: Complete")
	d.advance(t, 24*time.Hour)
	second := d.seen(t, tokyo, active(1)).Status.Active[0]
	d.starts(t, berlin, 1)
	next := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: second.Name}}
	d.end(t, d.begin(t, next, 1)[0], 0)
	d.completes(t, next, batchv1.JobReasonCompletionsReached)
	if left := d.starts(t, tokyo, 1); left[0].Name != next.Name {
		t.Errorf("of the history %s is left, want %s", left[0].Name, next.Name)
	}
}

// TestTheExampleOfJobs runs docs/jobs.md.
func TestTheExampleOfJobs(t *testing.T) {
	d := newDesk(t)
	page, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(page), "```yaml\n")
	manifest, _, _ = strings.Cut(manifest, "```")
	_, commands, _ := strings.Cut(string(page), "```bash\n")
	commands, _, _ = strings.Cut(commands, "```")
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/nightly.yaml", []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	out := d.sh(t, "set -e; cd "+dir+"; kubectl() { command kubectl -n "+d.ns+" \"$@\"; }; laterna() { command laterna \"$@\" --data-dir "+d.Dir+"; }\n"+commands)
	matches(t, out, `cronjob.batch/nightly created`, `cronjob.batch/nightly condition met`, `nightly-[0-9]+ +Running +0/1 .*`)
	j := d.starts(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "nightly", UID: d.uid(t, "nightly")}}, 1)[0]
	if at := j.Annotations[batchv1.CronJobScheduledTimestampAnnotation]; !strings.Contains(at, "T02:30:00+0") {
		t.Errorf("the job is of %s", at)
	}
}

// uid is that of a cron job.
func (d desk) uid(t testing.TB, cronJob string) types.UID {
	t.Helper()
	c, err := d.client.BatchV1().CronJobs(d.ns).Get(t.Context(), cronJob, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c.UID
}
