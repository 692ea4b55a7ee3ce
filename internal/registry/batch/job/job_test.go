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

// job is what is stored of a job of one container.
func job(t *testing.T, change ...func(*batchv1.Job)) *batchv1.Job {
	t.Helper()
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pi", UID: "u-1"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "pi", Image: "perl"}},
		}}},
	}
	for _, f := range change {
		f(j)
	}
	setDefaults(j)
	rules().PrepareCreate(t.Context(), j)
	return j
}

func with(f func(s *batchv1.JobSpec)) func(*batchv1.Job) {
	return func(j *batchv1.Job) { f(&j.Spec) }
}

func withIndexes(n int32) func(*batchv1.Job) {
	return with(func(s *batchv1.JobSpec) {
		s.CompletionMode, s.Completions = new(batchv1.IndexedCompletion), &n
	})
}

func failurePolicy(rules ...batchv1.PodFailurePolicyRule) func(*batchv1.Job) {
	return with(func(s *batchv1.JobSpec) { s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rules} })
}

func successPolicy(rules ...batchv1.SuccessPolicyRule) func(*batchv1.Job) {
	return with(func(s *batchv1.JobSpec) { s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: rules} })
}

func onCodes(action batchv1.PodFailurePolicyAction, op batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: op, Values: codes}}
}

func TestDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*batchv1.Job)
		want   string // completions parallelism backoffLimit completionMode podReplacementPolicy
	}{
		"nothing said":      {func(*batchv1.Job) {}, "1 1 6 NonIndexed TerminatingOrFailed"},
		"a work queue":      {with(func(s *batchv1.JobSpec) { s.Parallelism = new(int32(3)) }), "- 3 6 NonIndexed TerminatingOrFailed"},
		"completions":       {with(func(s *batchv1.JobSpec) { s.Completions = new(int32(3)) }), "3 1 6 NonIndexed TerminatingOrFailed"},
		"a limit per index": {with(func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = new(int32(1)) }), "1 1 2147483647 NonIndexed TerminatingOrFailed"},
		"a failure policy":  {failurePolicy(), "1 1 6 NonIndexed Failed"},
	} {
		s := job(t, tc.change).Spec
		show := func(n *int32) string {
			if n == nil {
				return "-"
			}
			return fmt.Sprint(*n)
		}
		got := strings.Join([]string{show(s.Completions), show(s.Parallelism), show(s.BackoffLimit), string(*s.CompletionMode), string(*s.PodReplacementPolicy)}, " ")
		if got != tc.want || *s.Suspend || *s.ManualSelector {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	rule := batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget}}}
	if got := job(t, failurePolicy(rule)).Spec.PodFailurePolicy.Rules[0].OnPodConditions[0].Status; got != corev1.ConditionTrue {
		t.Errorf("a condition of a rule is %q by default", got)
	}
}

func TestSelectorIsMadeFromTheUID(t *testing.T) {
	j := job(t, func(j *batchv1.Job) { j.Spec.Template.Labels = map[string]string{"app": "pi"} })
	want := "map[app:pi batch.kubernetes.io/controller-uid:u-1 batch.kubernetes.io/job-name:pi controller-uid:u-1 job-name:pi]"
	if got := fmt.Sprint(j.Spec.Template.Labels); got != want {
		t.Errorf("labels of the template %s", got)
	}
	if got := fmt.Sprint(j.Labels); got != want {
		t.Errorf("a job without labels has %s", got)
	}
	if got := metav1.FormatLabelSelector(j.Spec.Selector); got != "batch.kubernetes.io/controller-uid=u-1" {
		t.Errorf("selector %s", got)
	}
	own := job(t, func(j *batchv1.Job) {
		j.Labels = map[string]string{"mine": "1"}
		j.Spec.ManualSelector = new(true)
		j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "pi"}}
		j.Spec.Template.Labels = map[string]string{"app": "pi"}
	})
	if len(own.Spec.Template.Labels) != 1 || len(own.Labels) != 1 || len(validate(own)) > 0 {
		t.Errorf("a selector of one's own: %+v, %v", own.Spec, validate(own))
	}
}

func TestJobsThatAreRefused(t *testing.T) {
	codes := func(rule batchv1.PodFailurePolicyRule, f func(*batchv1.PodFailurePolicyOnExitCodesRequirement)) batchv1.PodFailurePolicyRule {
		f(rule.OnExitCodes)
		return rule
	}
	many := make([]batchv1.PodFailurePolicyRule, 21)
	for i := range many {
		many[i] = onCodes("Ignore", "In", 1)
	}
	perIndex := with(func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = new(int32(1)) })
	both := onCodes("Count", "In", 1)
	both.OnPodConditions = []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: "Ready", Status: "True"}}
	for name, tc := range map[string]struct {
		change []func(*batchv1.Job)
		want   string
	}{
		"good":            {nil, ""},
		"negative":        {[]func(*batchv1.Job){with(func(s *batchv1.JobSpec) { s.Parallelism = new(int32(-1)) })}, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"},
		"another's label": {[]func(*batchv1.Job){func(j *batchv1.Job) { j.Spec.Template.Labels = map[string]string{"job-name": "other"} }}, "must be 'pi'"},
		"another's selector": {[]func(*batchv1.Job){func(j *batchv1.Job) {
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}}, "`selector` not auto-generated"},
		"a selector that misses": {[]func(*batchv1.Job){func(j *batchv1.Job) {
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}}, "spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u-1\""},
		"always restarted":        {[]func(*batchv1.Job){with(func(s *batchv1.JobSpec) { s.Template.Spec.RestartPolicy = "Always" })}, `spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`},
		"restarted with a policy": {[]func(*batchv1.Job){failurePolicy(onCodes("Ignore", "In", 1)), with(func(s *batchv1.JobSpec) { s.Template.Spec.RestartPolicy = "OnFailure" })}, `only "Never" is supported when podFailurePolicy is specified`},
		"indexes without number": {[]func(*batchv1.Job){with(func(s *batchv1.JobSpec) {
			s.CompletionMode, s.Parallelism = new(batchv1.IndexedCompletion), new(int32(1))
		})}, "spec.completions: Required value: when completion mode is Indexed"},
		"an odd mode":              {[]func(*batchv1.Job){with(func(s *batchv1.JobSpec) { s.CompletionMode = new(batchv1.CompletionMode("Odd")) })}, `spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"`},
		"wide":                     {[]func(*batchv1.Job){withIndexes(5), with(func(s *batchv1.JobSpec) { s.Parallelism = new(int32(100_001)) })}, "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"},
		"many without a limit":     {[]func(*batchv1.Job){withIndexes(100_001), perIndex}, "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"},
		"a long name":              {[]func(*batchv1.Job){withIndexes(11), func(j *batchv1.Job) { j.Name = strings.Repeat("a", 61) }}, "will not able to create pod with invalid DNS label: " + strings.Repeat("a", 61) + "-10"},
		"a limit without indexes":  {[]func(*batchv1.Job){perIndex}, "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"},
		"failures of no limit":     {[]func(*batchv1.Job){withIndexes(5), with(func(s *batchv1.JobSpec) { s.MaxFailedIndexes = new(int32(1)) })}, "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"},
		"more failures than all":   {[]func(*batchv1.Job){withIndexes(5), perIndex, with(func(s *batchv1.JobSpec) { s.MaxFailedIndexes = new(int32(6)) })}, "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"},
		"no manager":               {[]func(*batchv1.Job){with(func(s *batchv1.JobSpec) { s.ManagedBy = new("me") })}, "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path"},
		"twenty-one rules":         {[]func(*batchv1.Job){failurePolicy(many...)}, "spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"},
		"no action":                {[]func(*batchv1.Job){failurePolicy(onCodes("", "In", 1))}, `spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`},
		"an index without a limit": {[]func(*batchv1.Job){failurePolicy(onCodes("FailIndex", "In", 1))}, "requires the backoffLimitPerIndex to be set"},
		"success in codes":         {[]func(*batchv1.Job){failurePolicy(onCodes("Ignore", "In", 0, 1))}, "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"},
		"codes without order":      {[]func(*batchv1.Job){failurePolicy(onCodes("Ignore", "NotIn", 2, 1))}, "onExitCodes.values: Invalid value: [2,1]: must be ordered"},
		"a code twice":             {[]func(*batchv1.Job){failurePolicy(onCodes("Ignore", "NotIn", 1, 1))}, "onExitCodes.values[1]: Duplicate value: 1"},
		"codes of nobody":          {[]func(*batchv1.Job){failurePolicy(codes(onCodes("Ignore", "In", 1), func(r *batchv1.PodFailurePolicyOnExitCodesRequirement) { r.ContainerName = new("x") }))}, "must be one of the container or initContainer names in the pod template"},
		"a rule on nothing":        {[]func(*batchv1.Job){failurePolicy(batchv1.PodFailurePolicyRule{Action: "Ignore"})}, "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"},
		"a rule on both":           {[]func(*batchv1.Job){failurePolicy(both)}, "specifying both OnExitCodes and OnPodConditions is not supported"},
		"replaced too early":       {[]func(*batchv1.Job){failurePolicy(onCodes("Ignore", "In", 1)), with(func(s *batchv1.JobSpec) { s.PodReplacementPolicy = new(batchv1.TerminatingOrFailed) })}, `spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"`},
		"success without indexes":  {[]func(*batchv1.Job){successPolicy(batchv1.SuccessPolicyRule{SucceededCount: new(int32(1))})}, "requires indexed completion mode"},
		"success of nothing":       {[]func(*batchv1.Job){withIndexes(5), successPolicy(batchv1.SuccessPolicyRule{})}, "at least one of succeededCount or succeededIndexes must be specified"},
		"success of too much":      {[]func(*batchv1.Job){withIndexes(5), successPolicy(batchv1.SuccessPolicyRule{SucceededIndexes: new("0-2"), SucceededCount: new(int32(4))})}, "must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)"},
		"success of no index":      {[]func(*batchv1.Job){withIndexes(5), successPolicy(batchv1.SuccessPolicyRule{SucceededIndexes: new("5")})}, `error parsing succeededIndexes: too large index: "5"`},
	} {
		if errs := validate(job(t, tc.change...)); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
}

func TestWhatMayChange(t *testing.T) {
	held := func(j *batchv1.Job) { j.Spec.Suspend = new(true) }
	started := func(j *batchv1.Job) { j.Status.StartTime = new(metav1.Now()) }
	image := with(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Image = "other" })
	place := with(func(s *batchv1.JobSpec) {
		s.Template.Spec.NodeSelector = map[string]string{"zone": "a"}
		s.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": {}}
		s.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
	})
	for name, tc := range map[string]struct {
		old    []func(*batchv1.Job)
		change func(*batchv1.Job)
		want   string
	}{
		"parallelism":               {nil, with(func(s *batchv1.JobSpec) { s.Parallelism = new(int32(7)) }), ""},
		"suspend":                   {nil, held, ""},
		"completions":               {nil, with(func(s *batchv1.JobSpec) { s.Completions = new(int32(7)) }), "spec.completions: Invalid value: 7: field is immutable"},
		"an index more":             {[]func(*batchv1.Job){withIndexes(2)}, with(func(s *batchv1.JobSpec) { s.Completions = new(int32(3)) }), "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"},
		"an index more in tandem":   {[]func(*batchv1.Job){withIndexes(2)}, with(func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = new(int32(3)), new(int32(3)) }), ""},
		"the image":                 {nil, image, "spec.template: Invalid value:"},
		"the image while suspended": {[]func(*batchv1.Job){held}, image, "spec.template: Invalid value:"},
		"the place":                 {nil, place, "spec.template: Invalid value:"},
		"the place while suspended": {[]func(*batchv1.Job){held}, place, ""},
		"the place once started":    {[]func(*batchv1.Job){held, started}, place, "spec.template: Invalid value:"},
		"the manager":               {nil, with(func(s *batchv1.JobSpec) { s.ManagedBy = new("example.com/me") }), "spec.managedBy: Invalid value: \"example.com/me\": field is immutable"},
	} {
		old := job(t)
		for _, f := range tc.old {
			f(old)
		}
		now := old.DeepCopy()
		tc.change(now)
		if errs := validateChange(now, old); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
		rules().PrepareUpdate(t.Context(), now, old)
		if now.Generation != old.Generation+1 {
			t.Errorf("%s: generation %d", name, now.Generation)
		}
	}
}

func condition(all ...batchv1.JobConditionType) func(*batchv1.JobStatus) {
	return func(s *batchv1.JobStatus) {
		for _, c := range all {
			s.Conditions = append(s.Conditions, batchv1.JobCondition{Type: c, Status: corev1.ConditionTrue})
		}
	}
}

func TestStatusesThatAreRefused(t *testing.T) {
	now := metav1.Now()
	started := func(s *batchv1.JobStatus) { s.StartTime = &now }
	ended := func(s *batchv1.JobStatus) { s.CompletionTime = &now }
	set := func(f func(*batchv1.JobStatus)) []func(*batchv1.JobStatus) { return []func(*batchv1.JobStatus){f} }
	for name, tc := range map[string]struct {
		old, now []func(*batchv1.JobStatus)
		want     string
	}{
		"complete":          {nil, []func(*batchv1.JobStatus){condition("SuccessCriteriaMet", "Complete"), started, ended}, ""},
		"failed":            {nil, []func(*batchv1.JobStatus){condition("FailureTarget", "Failed"), started}, ""},
		"complete at once":  {nil, []func(*batchv1.JobStatus){condition("Complete"), started, ended}, "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
		"failed at once":    {nil, []func(*batchv1.JobStatus){condition("Failed"), started}, "cannot set Failed=True condition without the FailureTarget=true condition"},
		"never begun":       {nil, set(condition("FailureTarget", "Failed")), "status.startTime: Required value: startTime is required for finished job"},
		"without an end":    {nil, []func(*batchv1.JobStatus){condition("SuccessCriteriaMet", "Complete"), started}, "status.completionTime: Required value: completionTime is required for Complete jobs"},
		"an end too early":  {nil, []func(*batchv1.JobStatus){started, ended}, "cannot set completionTime when there is no Complete=True condition"},
		"active at the end": {nil, []func(*batchv1.JobStatus){condition("FailureTarget", "Failed"), started, func(s *batchv1.JobStatus) { s.Active = 1 }}, "status.active: Invalid value: 1: active>0 is invalid for finished job"},
		"revived":           {[]func(*batchv1.JobStatus){condition("FailureTarget", "Failed"), started}, []func(*batchv1.JobStatus){condition("FailureTarget"), started}, "cannot disable the terminal Failed=True condition"},
		"fewer failures":    {set(func(s *batchv1.JobStatus) { s.Failed = 2 }), set(func(s *batchv1.JobStatus) { s.Failed = 1 }), "status.failed: Invalid value: 1: cannot decrease the failed counter"},
		"fewer successes":   {set(func(s *batchv1.JobStatus) { s.Succeeded = 2 }), set(func(s *batchv1.JobStatus) { s.Succeeded = 1 }), "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"},
		"more ready":        {nil, set(func(s *batchv1.JobStatus) { s.Ready = new(int32(1)) }), "status.ready: Invalid value: 1: cannot set more ready pods than active"},
		"indexes of none":   {nil, set(func(s *batchv1.JobStatus) { s.CompletedIndexes = "0" }), "cannot set non-empty completedIndexes when non-indexed completion mode"},
		"a pod twice": {nil, set(func(s *batchv1.JobStatus) {
			s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a", "a"}}
		}), "status.uncountedTerminatedPods.failed[1]: Duplicate value: \"a\""},
		"begun again":         {set(started), nil, "status.startTime: Required value: startTime cannot be removed for unsuspended job"},
		"resumed":             {[]func(*batchv1.JobStatus){started, condition("Suspended")}, []func(*batchv1.JobStatus){func(s *batchv1.JobStatus) { s.StartTime = new(metav1.NewTime(now.Add(time.Hour))) }}, ""},
		"met and failing":     {nil, set(condition("FailureTarget", "SuccessCriteriaMet")), "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
		"was wrong and stays": {[]func(*batchv1.JobStatus){condition("Complete")}, []func(*batchv1.JobStatus){condition("Complete")}, ""},
	} {
		old, j := job(t), job(t)
		for _, f := range tc.old {
			f(&old.Status)
		}
		for _, f := range tc.now {
			f(&j.Status)
		}
		if errs := validateStatus(j, old); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
}

func TestTable(t *testing.T) {
	j := job(t, withIndexes(3))
	j.Status.Succeeded = 2
	for want, change := range map[string]func(*batchv1.JobStatus){
		"Running":       func(*batchv1.JobStatus) {},
		"Complete":      condition("SuccessCriteriaMet", "Complete"),
		"Failed":        condition("FailureTarget", "Failed"),
		"Suspended":     condition("Suspended"),
		"FailureTarget": condition("FailureTarget"),
	} {
		j.Status.Conditions = nil
		change(&j.Status)
		row := columns().Row(j)
		if got := fmt.Sprint(row); got != "[pi "+want+" 2/3  <unknown> pi perl batch.kubernetes.io/controller-uid=u-1]" || len(row) != len(columns().Columns) {
			t.Errorf("row %s, want %s", got, want)
		}
	}
	queue := job(t, with(func(s *batchv1.JobSpec) { s.Parallelism = new(int32(4)) }))
	if got := completions(queue); got != "0/1 of 4" {
		t.Errorf("a work queue shows %q", got)
	}
}

func TestWarnings(t *testing.T) {
	j := job(t, withIndexes(100_001), func(j *batchv1.Job) { j.Name, j.Spec.Parallelism = "a.b", new(int32(10_001)) })
	texts := rules().WarnCreate(t.Context(), j)
	if !slices.ContainsFunc(texts, func(s string) bool {
		return strings.HasPrefix(s, "metadata.name: this is used in Pod names and hostnames")
	}) ||
		!slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, "spec: In Indexed Jobs with") }) {
		t.Errorf("warnings %q", texts)
	}
	if texts := rules().WarnUpdate(t.Context(), j, j); texts != nil {
		t.Errorf("warnings of nothing new %q", texts)
	}
}
