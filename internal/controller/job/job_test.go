package job

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// noon is when all looks are taken.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func job(change ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pi", UID: "u"}}
	j.Spec.Completions, j.Spec.Parallelism, j.Spec.BackoffLimit = new(int32(3)), new(int32(2)), new(int32(6))
	j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	j.Spec.Template.Labels = map[string]string{"job-name": "pi"}
	j.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main"}}
	j.Status.StartTime = &metav1.Time{Time: noon.Add(-time.Minute)}
	for _, f := range change {
		f(j)
	}
	return j
}

func spec(f func(*batchv1.JobSpec)) func(*batchv1.Job) { return func(j *batchv1.Job) { f(&j.Spec) } }

func status(f func(*batchv1.JobStatus)) func(*batchv1.Job) {
	return func(j *batchv1.Job) { f(&j.Status) }
}

func ofIndexes(n int32) func(*batchv1.Job) {
	return spec(func(s *batchv1.JobSpec) {
		s.CompletionMode, s.Completions, s.Parallelism = new(batchv1.IndexedCompletion), &n, &n
	})
}

func perIndex(limit int32) func(*batchv1.Job) {
	return spec(func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = &limit })
}

// pod reads "name phase [index [failures]]"; a phase ending in ~ is of a pod that is being
// deleted, one ending in ! of a pod that is counted already.
func pod(text string) *corev1.Pod {
	words := strings.Fields(text)
	phase := words[1]
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: words[0], UID: types.UID(words[0]), Finalizers: []string{batchv1.JobTrackingFinalizer}}}
	if strings.HasSuffix(phase, "!") {
		p.Finalizers = nil
	}
	if strings.HasSuffix(phase, "~") {
		p.DeletionTimestamp = &metav1.Time{Time: noon}
	}
	p.Status.Phase = corev1.PodPhase(strings.TrimRight(phase, "!~"))
	if len(words) > 2 {
		p.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: words[2]}
	}
	if len(words) > 3 {
		p.Annotations[failureCount] = words[3]
	}
	if p.Status.Phase == corev1.PodFailed {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: metav1.Time{Time: noon.Add(-time.Second)}},
		}}}
	}
	return p
}

func lookAt(j *batchv1.Job, pods ...string) *look {
	l := &look{job: j, now: noon, ended: endOf}
	for _, text := range pods {
		l.pods = append(l.pods, pod(text))
	}
	l.see()
	return l
}

func names(pods []*corev1.Pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}

func made(pods []*corev1.Pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, p.GenerateName)
	}
	return strings.Join(all, " ")
}

func TestPlans(t *testing.T) {
	policy := func(action batchv1.PodFailurePolicyAction) func(*batchv1.Job) {
		return spec(func(s *batchv1.JobSpec) {
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1}},
			}}}
		})
	}
	queue := spec(func(s *batchv1.JobSpec) { s.Completions = nil })
	for name, tc := range map[string]struct {
		job    *batchv1.Job
		pods   []string
		create string
		remove string
		end    string
		again  time.Duration
	}{
		"new":                      {job: job(), create: "pi- pi-"},
		"one runs":                 {job: job(), pods: []string{"a Running"}, create: "pi-"},
		"the last":                 {job: job(), pods: []string{"a Succeeded", "b Succeeded!"}, create: "pi- pi-"}, // b counts by the status
		"nearly done":              {job: job(status(func(s *batchv1.JobStatus) { s.Succeeded = 2 })), create: "pi-"},
		"too many":                 {job: job(status(func(s *batchv1.JobStatus) { s.Succeeded = 2 })), pods: []string{"a Running", "b Pending"}, remove: "b"},
		"done":                     {job: job(status(func(s *batchv1.JobStatus) { s.Succeeded = 2 })), pods: []string{"a Succeeded"}, end: "SuccessCriteriaMet CompletionsReached"},
		"done while one runs":      {job: job(status(func(s *batchv1.JobStatus) { s.Succeeded = 3 })), pods: []string{"a Running"}, remove: "a"},
		"a queue":                  {job: job(queue), create: "pi- pi-"},
		"a queue that is done":     {job: job(queue), pods: []string{"a Succeeded"}, end: "SuccessCriteriaMet CompletionsReached"},
		"a queue that runs out":    {job: job(queue), pods: []string{"a Succeeded", "b Running"}},
		"a failure":                {job: job(), pods: []string{"a Failed"}, again: 9 * time.Second},
		"a failure beside":         {job: job(), pods: []string{"a Failed", "b Running"}, again: 9 * time.Second},
		"too many failures":        {job: job(spec(func(s *batchv1.JobSpec) { s.BackoffLimit = new(int32(1)) })), pods: []string{"a Failed", "b Failed", "c Running"}, end: "FailureTarget BackoffLimitExceeded", remove: "c"},
		"suspended":                {job: job(spec(func(s *batchv1.JobSpec) { s.Suspend = new(true) })), pods: []string{"a Running"}, remove: "a"},
		"late":                     {job: job(spec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(60)) })), pods: []string{"a Running"}, end: "FailureTarget DeadlineExceeded", remove: "a"},
		"not yet late":             {job: job(spec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(90)) })), pods: []string{"a Running", "b Running"}, again: 30 * time.Second},
		"being deleted":            {job: job(func(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: noon} })},
		"a pod that goes":          {job: job(), pods: []string{"a Running~", "b Running"}, again: 10 * time.Second},
		"a pod that goes, awaited": {job: job(spec(func(s *batchv1.JobSpec) { s.PodReplacementPolicy = new(batchv1.Failed) })), pods: []string{"a Running~", "b Running"}},
		"a rule ends it":           {job: job(policy("FailJob")), pods: []string{"a Failed"}, end: "FailureTarget PodFailurePolicy"},
		"a rule ignores it":        {job: job(policy("Ignore")), pods: []string{"a Failed"}, create: "pi- pi-"},
		"goes on ending": {job: job(status(func(s *batchv1.JobStatus) {
			s.Conditions = []batchv1.JobCondition{{Type: "FailureTarget", Status: "True", Reason: "R"}}
		})), pods: []string{"a Running"}, end: "FailureTarget R", remove: "a"},
		"restarted too often": {job: job(spec(func(s *batchv1.JobSpec) {
			s.Template.Spec.RestartPolicy, s.BackoffLimit = corev1.RestartPolicyOnFailure, new(int32(0))
		})), pods: []string{"a Running"}, create: "pi-"},
		"indexes":                     {job: job(ofIndexes(3)), pods: []string{"a Running 1"}, create: "pi-0- pi-2-"},
		"an index twice":              {job: job(ofIndexes(3)), pods: []string{"a Running 1", "b Pending 1", "c Running 5", "d Running"}, remove: "d c b"},
		"an index succeeded":          {job: job(ofIndexes(3), status(func(s *batchv1.JobStatus) { s.CompletedIndexes = "0" })), pods: []string{"a Succeeded 2"}, create: "pi-1-"},
		"an index fails":              {job: job(ofIndexes(2), perIndex(1)), pods: []string{"a Failed 0 0", "b Running 1 0"}, again: 9 * time.Second},
		"an index fails, another can": {job: job(ofIndexes(3), perIndex(1)), pods: []string{"a Failed 0 0", "b Running 1 0"}, create: "pi-2-", again: 9 * time.Second},
		"an index is lost":            {job: job(ofIndexes(2), perIndex(0)), pods: []string{"a Failed 0 0", "b Running 1 0"}},
		"all indexes end":             {job: job(ofIndexes(2), perIndex(0)), pods: []string{"a Failed 0 0", "b Succeeded 1 0"}, end: "FailureTarget FailedIndexes"},
		"too many indexes are lost":   {job: job(ofIndexes(9), perIndex(0), spec(func(s *batchv1.JobSpec) { s.MaxFailedIndexes = new(int32(1)) })), pods: []string{"a Failed 0 0", "b Failed 1 0"}, end: "FailureTarget MaxFailedIndexesExceeded"},
		"a rule is lost with one":     {job: job(ofIndexes(2), perIndex(5), policy("FailIndex")), pods: []string{"a Failed 0 0", "b Succeeded 1 0"}, end: "FailureTarget FailedIndexes"},
		"success by policy": {job: job(ofIndexes(3), spec(func(s *batchv1.JobSpec) {
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: new("1,2")}, {SucceededIndexes: new("0-2"), SucceededCount: new(int32(1))}}}
		})), pods: []string{"a Succeeded 0", "b Running 1"}, end: "SuccessCriteriaMet SuccessPolicy", remove: "b"},
	} {
		p := lookAt(tc.job, tc.pods...).decide()
		end := ""
		if p.end != nil {
			end = string(p.end.Type) + " " + p.end.Reason
		}
		if made(p.create) != tc.create || names(p.remove) != tc.remove || end != tc.end || p.again != tc.again {
			t.Errorf("%s: creates %q, removes %q, ends %q, again after %s", name, made(p.create), names(p.remove), end, p.again)
		}
	}
}

func TestPodsBecomeNumbersOnce(t *testing.T) {
	uncounted := func(succeeded, failed string) func(*batchv1.Job) {
		return status(func(s *batchv1.JobStatus) {
			u := &batchv1.UncountedTerminatedPods{}
			for _, uid := range strings.Fields(succeeded) {
				u.Succeeded = append(u.Succeeded, types.UID(uid))
			}
			for _, uid := range strings.Fields(failed) {
				u.Failed = append(u.Failed, types.UID(uid))
			}
			s.UncountedTerminatedPods, s.Succeeded, s.Failed = u, 1, 1
		})
	}
	for name, tc := range map[string]struct {
		job     *batchv1.Job
		pods    []string
		end     batchv1.JobConditionType
		want    string // succeeded failed uncounted
		release string
	}{
		"written down":              {job(), []string{"a Succeeded", "b Failed", "c Running"}, "", "0 0 [a] [b]", "a b"},
		"written down before":       {job(uncounted("a", "b")), []string{"a Succeeded", "b Failed"}, "", "1 1 [a] [b]", "a b"},
		"let go before":             {job(uncounted("a", "b")), []string{"a Succeeded!", "b Failed"}, "", "2 1 [] [b]", "b"},
		"gone before":               {job(uncounted("a", "b")), nil, "", "2 2 [] []", ""},
		"counted before":            {job(uncounted("", "")), []string{"a Succeeded!", "b Failed!"}, "", "1 1 [] []", ""},
		"an index":                  {job(ofIndexes(3)), []string{"a Succeeded 1", "b Failed 0", "c Succeeded 7"}, "", "1 0 [] [b]", "a b c"},
		"a failure that is to last": {job(ofIndexes(2), perIndex(1)), []string{"a Failed 0 0", "b Failed 0 1"}, "", "0 0 [] [a b]", "a b"}, // the index is lost
		"one that remembers":        {job(ofIndexes(2), perIndex(2)), []string{"a Failed 0 0", "b Failed 0 1"}, "", "0 0 [] [a]", "a"},
		"one that was replaced":     {job(ofIndexes(2), perIndex(2)), []string{"a Failed 0 0", "b Running 0 1"}, "", "0 0 [] [a]", "a"},
		"the end of all":            {job(), []string{"a Running", "b Succeeded"}, batchv1.JobFailureTarget, "0 0 [b] [a]", "a b"},
		"the end in success":        {job(), []string{"a Running", "b Succeeded"}, batchv1.JobSuccessCriteriaMet, "0 0 [b] []", "a b"},
	} {
		l := lookAt(tc.job, tc.pods...)
		d := done{}
		if tc.end != "" {
			d.end = l.condition(tc.end, "R", "")
		}
		a := l.account(d)
		u := a.status.UncountedTerminatedPods
		if got := fmt.Sprint(a.status.Succeeded, a.status.Failed, u.Succeeded, u.Failed); got != tc.want || names(a.release) != tc.release {
			t.Errorf("%s: %s, releases %q", name, got, names(a.release))
		}
	}
}

func TestNoMoreAtOnceThanIsBounded(t *testing.T) {
	j := job(spec(func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = new(int32(1<<31-1)), new(int32(1<<31-1)) }))
	if n := len(lookAt(j).decide().create); n != maxAtOnce {
		t.Errorf("%d pods are made at once", n)
	}
	var pods []string
	for i := range 2 * maxAtOnce {
		pods = append(pods, fmt.Sprintf("p%d Succeeded", i))
	}
	if a := lookAt(j, pods...).account(done{}); len(a.release) != maxAtOnce || !a.more || len(a.status.UncountedTerminatedPods.Succeeded) != maxAtOnce {
		t.Errorf("%d pods are counted at once, more are left: %v", len(a.release), a.more)
	}
	wide := job(ofIndexes(100_000), status(func(s *batchv1.JobStatus) { s.CompletedIndexes = "0-99997" }))
	if got := made(lookAt(wide).decide().create); got != "pi-99998- pi-99999-" {
		t.Errorf("made are %s", got)
	}
}

func TestTwoSteps(t *testing.T) {
	l := lookAt(job())
	for name, tc := range map[string]struct {
		change func(*batchv1.JobStatus)
		want   batchv1.JobConditionType
	}{
		"nothing said": {func(*batchv1.JobStatus) {}, ""},
		"success":      {func(s *batchv1.JobStatus) { set(s, l.condition("SuccessCriteriaMet", "R", "m")) }, "Complete"},
		"failure":      {func(s *batchv1.JobStatus) { set(s, l.condition("FailureTarget", "R", "m")) }, "Failed"},
		"one goes still": {func(s *batchv1.JobStatus) {
			set(s, l.condition("FailureTarget", "R", "m"))
			s.Terminating = new(int32(1))
		}, ""},
		"one to count": {func(s *batchv1.JobStatus) {
			set(s, l.condition("FailureTarget", "R", "m"))
			s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a"}}
		}, ""},
	} {
		s := &batchv1.JobStatus{}
		tc.change(s)
		over := l.finish(s)
		if (over == nil) != (tc.want == "") || over != nil && (over.Type != tc.want || over.Reason != "R" || !isTrue(s, tc.want)) {
			t.Errorf("%s: %+v", name, over)
		}
		if (s.CompletionTime != nil) != (tc.want == batchv1.JobComplete) {
			t.Errorf("%s: completed at %v", name, s.CompletionTime)
		}
	}
}

func TestBackOffs(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 6: 320 * time.Second, 7: 10 * time.Minute, 1 << 40: 10 * time.Minute} {
		if got := pause(failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	at := map[string]time.Time{"a": noon, "b": noon.Add(time.Second), "c": noon.Add(2 * time.Second)}
	ended := func(p *corev1.Pod) time.Time { return at[p.Name] }
	a, b, c := pod("a Failed"), pod("b Succeeded"), pod("c Failed")
	if got := (backoff{}).with([]*corev1.Pod{b}, []*corev1.Pod{c, a}, ended); got != (backoff{1, at["c"]}) {
		t.Errorf("a success between: %+v", got)
	}
	if got := (backoff{2, noon}).with(nil, []*corev1.Pod{c, a}, ended); got != (backoff{4, at["c"]}) || got.left(noon.Add(80*time.Second)) != 2*time.Second {
		t.Errorf("two more: %+v, left %s", got, got.left(noon.Add(80*time.Second)))
	}
}

func TestPodsOfIndexes(t *testing.T) {
	j := job(ofIndexes(3), perIndex(3), func(j *batchv1.Job) { j.Name = strings.Repeat("n", 60) })
	j.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "init", Env: []corev1.EnvVar{{Name: indexVariable, Value: "mine"}}}}
	p := lookAt(j).newIndexedPod(2, pod("before Failed 2 1"))
	if want := strings.Repeat("n", 55) + "-2-"; p.GenerateName != want {
		t.Errorf("name %s, want %s", p.GenerateName, want)
	}
	if p.Annotations[failureCount] != "2" || p.Annotations[ignoredCount] != "" || p.Labels[batchv1.JobCompletionIndexAnnotation] != "2" || p.Labels["job-name"] != "pi" {
		t.Errorf("annotations %v, labels %v", p.Annotations, p.Labels)
	}
	if p.Spec.InitContainers[0].Env[0].Value != "mine" || p.Spec.Containers[0].Env[0].ValueFrom == nil {
		t.Errorf("containers are told %v, %v", p.Spec.InitContainers[0].Env, p.Spec.Containers[0].Env)
	}
	if !isHeld(p) || !metav1.IsControlledBy(p, j) || len(j.Spec.Template.Spec.Containers[0].Env) != 0 {
		t.Errorf("metadata %+v", p.ObjectMeta)
	}
}

func TestSuspendAndResume(t *testing.T) {
	l := lookAt(job(spec(func(s *batchv1.JobSpec) { s.Suspend = new(true) })))
	s := &batchv1.JobStatus{}
	if reason, _ := l.begin(s); reason != "Suspended" || s.StartTime != nil || !isTrue(s, batchv1.JobSuspended) {
		t.Errorf("suspended: %q, %+v", reason, s)
	}
	if reason, _ := l.begin(s); reason != "" {
		t.Errorf("suspended again: %q", reason)
	}
	l.job.Spec.Suspend = new(false)
	if reason, _ := l.begin(s); reason != "Resumed" || s.StartTime == nil || !s.StartTime.Time.Equal(noon) || isTrue(s, batchv1.JobSuspended) {
		t.Errorf("resumed: %q, %+v", reason, s)
	}
	other := &batchv1.JobStatus{}
	if reason, _ := l.begin(other); reason != "" || other.StartTime == nil || len(other.Conditions) > 0 {
		t.Errorf("begun: %q, %+v", reason, other)
	}
}

func TestRulesOfFailures(t *testing.T) {
	on := func(op batchv1.PodFailurePolicyOnExitCodesOperator, container *string, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: "FailJob", OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: op, ContainerName: container, Values: codes}}
	}
	disrupted := batchv1.PodFailurePolicyRule{Action: "Ignore", OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: "DisruptionTarget", Status: "True"}}}
	p := pod("a Failed")
	p.Status.Conditions = []corev1.PodCondition{{Type: "DisruptionTarget", Status: "True"}}
	for name, tc := range map[string]struct {
		rules []batchv1.PodFailurePolicyRule
		want  verdict
	}{
		"none":              {nil, verdict{counts: true}},
		"another code":      {[]batchv1.PodFailurePolicyRule{on("In", nil, 2, 3)}, verdict{counts: true}},
		"another container": {[]batchv1.PodFailurePolicyRule{on("In", new("side"), 1)}, verdict{counts: true}},
		"the code":          {[]batchv1.PodFailurePolicyRule{on("In", new("main"), 1)}, verdict{true, "FailJob", "Container main for pod ns/a failed with exit code 1 matching FailJob rule at index 0"}},
		"no such code":      {[]batchv1.PodFailurePolicyRule{on("In", nil, 5), on("NotIn", nil, 2)}, verdict{true, "FailJob", "Container main for pod ns/a failed with exit code 1 matching FailJob rule at index 1"}},
		"a condition":       {[]batchv1.PodFailurePolicyRule{disrupted, on("In", nil, 1)}, verdict{false, "Ignore", "Pod ns/a has condition DisruptionTarget matching Ignore rule at index 0"}},
	} {
		if got := judge(&batchv1.PodFailurePolicy{Rules: tc.rules}, p); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLeastIsLostFirst(t *testing.T) {
	pods := []*corev1.Pod{pod("ready Running"), pod("running Running"), pod("bound Pending"), pod("waiting Pending")}
	for _, p := range pods[:3] {
		p.Spec.NodeName = "n"
	}
	pods[0].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	slices.SortFunc(pods, leastFirst)
	if got := names(pods); got != "waiting bound running ready" {
		t.Errorf("order %s", got)
	}
}
