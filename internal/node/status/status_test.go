package status

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

var (
	now   = metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	early = time.Date(2026, 1, 1, 11, 0, 0, 5, time.UTC)
)

func pod(policy corev1.RestartPolicy, containers ...string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy}}
	for _, c := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: "img"})
	}
	return p
}

func input(p *corev1.Pod, containers ...cri.Container) Input {
	return Input{
		Pod: p, Containers: containers, HostIPs: []string{"192.0.2.1"}, Runtime: "containerd", Now: now,
		Sandbox: &cri.Sandbox{ID: "s", State: cri.SandboxReady, IPs: []string{"10.0.0.2", "fd00::2"}},
	}
}

func runs(name string) cri.Container {
	return cri.Container{ID: name + "-id", Name: name, State: cri.ContainerRunning, StartedAt: early}
}

func exits(name string, attempt uint32, code int32) cri.Container {
	return cri.Container{ID: name + "-dead", Name: name, Attempt: attempt, State: cri.ContainerExited, ExitCode: code, StartedAt: early, FinishedAt: early}
}

func TestPhase(t *testing.T) {
	ended := pod("Always", "a")
	ended.Status.Phase = corev1.PodFailed
	crash := map[string]Waiting{"a": {Reason: CrashLoopBackOff}}
	tests := map[string]struct {
		in   Input
		want corev1.PodPhase
	}{
		"nothing yet":             {Input{Pod: pod("Always", "a")}, corev1.PodPending},
		"one of two":              {input(pod("Always", "a", "b"), runs("a")), corev1.PodPending},
		"all run":                 {input(pod("Always", "a", "b"), runs("a"), runs("b")), corev1.PodRunning},
		"one ended, one runs":     {input(pod("Never", "a", "b"), exits("a", 0, 1), runs("b")), corev1.PodRunning},
		"never, good":             {input(pod("Never", "a"), exits("a", 0, 0)), corev1.PodSucceeded},
		"never, bad":              {input(pod("Never", "a", "b"), exits("a", 0, 0), exits("b", 0, 2)), corev1.PodFailed},
		"on failure, good":        {input(pod("OnFailure", "a"), exits("a", 3, 0)), corev1.PodSucceeded},
		"on failure, bad":         {input(pod("OnFailure", "a"), exits("a", 0, 1)), corev1.PodRunning},
		"always, ended":           {input(pod("Always", "a"), exits("a", 0, 0)), corev1.PodRunning},
		"final stays":             {input(ended, runs("a")), corev1.PodFailed},
		"crash loop":              {func() Input { in := input(pod("Always", "a"), exits("a", 1, 1)); in.Waiting = crash; return in }(), corev1.PodRunning},
		"deleted, ended well":     {func() Input { in := input(pod("Always", "a"), exits("a", 0, 0)); in.Terminal = true; return in }(), corev1.PodSucceeded},
		"deleted, killed":         {func() Input { in := input(pod("Always", "a"), exits("a", 0, 137)); in.Terminal = true; return in }(), corev1.PodFailed},
		"failed by the agent":     {func() Input { in := input(pod("Always", "a"), runs("a")); in.Failed = &Waiting{Reason: "X"}; return in }(), corev1.PodFailed},
		"made but never started":  {input(pod("Always", "a"), cri.Container{ID: "x", Name: "a"}), corev1.PodPending},
		"unknown counts as ended": {input(pod("Never", "a"), cri.Container{ID: "x", Name: "a", State: cri.ContainerUnknown, ExitCode: 255}), corev1.PodFailed},
	}
	for name, tt := range tests {
		if got := Pod(tt.in).Phase; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestAddressOfTheNodesFamilyComesFirst(t *testing.T) {
	for host, want := range map[string]string{"192.0.2.1": "10.0.0.2 fd00::2", "2001:db8::1": "fd00::2 10.0.0.2"} {
		for _, ips := range [][]string{{"10.0.0.2", "fd00::2"}, {"fd00::2", "10.0.0.2"}} {
			in := input(pod("Always", "a"), runs("a"))
			in.HostIPs, in.Sandbox.IPs = []string{host}, ips
			s := Pod(in)
			if got := s.PodIPs[0].IP + " " + s.PodIPs[1].IP; got != want || s.PodIP != s.PodIPs[0].IP {
				t.Errorf("on %s: %s and %s, want %s", host, s.PodIP, got, want)
			}
		}
	}
}

func TestRunningPod(t *testing.T) {
	p := pod("Always", "a")
	p.Generation = 4
	p.Status.Conditions = []corev1.PodCondition{
		{Type: "example.com/gate", Status: corev1.ConditionFalse},
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(early)},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(early)},
	}
	s := Pod(input(p, runs("a")))
	if s.PodIP != "10.0.0.2" || len(s.PodIPs) != 2 || s.HostIP != "192.0.2.1" || len(s.HostIPs) != 1 || s.ObservedGeneration != 4 || !s.StartTime.Equal(&now) {
		t.Errorf("status %+v", s)
	}
	c := s.ContainerStatuses[0]
	if c.ContainerID != "containerd://a-id" || !c.Ready || c.Started == nil || !*c.Started || !c.State.Running.StartedAt.Time.Equal(early.Truncate(time.Second)) {
		t.Errorf("container %+v", c)
	}
	for _, want := range []struct {
		t      corev1.PodConditionType
		status corev1.ConditionStatus
		since  time.Time
	}{
		{corev1.PodReady, corev1.ConditionTrue, now.Time},
		{corev1.ContainersReady, corev1.ConditionTrue, now.Time},
		{corev1.PodScheduled, corev1.ConditionTrue, early},
		{corev1.PodReadyToStartContainers, corev1.ConditionTrue, now.Time},
		{"example.com/gate", corev1.ConditionFalse, time.Time{}},
	} {
		got := condition(s.Conditions, want.t)
		if got == nil || got.Status != want.status || !got.LastTransitionTime.Time.Equal(want.since) {
			t.Errorf("condition %s: %+v", want.t, got)
		}
	}
	// Its own status read back changes nothing.
	p.Status = s
	if again := Pod(input(p, runs("a"))); !reflect.DeepEqual(again, s) {
		t.Errorf("computed again:\n%+v\nwas\n%+v", again, s)
	}
}

func TestReadinessGates(t *testing.T) {
	p := pod("Always", "a")
	p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}}
	got := condition(Pod(input(p, runs("a"))).Conditions, corev1.PodReady)
	if got.Status != corev1.ConditionFalse || got.Reason != "ReadinessGatesNotReady" || got.Message != `corresponding condition of pod readiness gate "example.com/gate" does not exist.` {
		t.Errorf("condition %+v", got)
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: "example.com/gate", Status: corev1.ConditionTrue}}
	if got := condition(Pod(input(p, runs("a"))).Conditions, corev1.PodReady); got.Status != corev1.ConditionTrue {
		t.Errorf("condition %+v", got)
	}
}

func TestPodThatEndsForItsNodeSaysSo(t *testing.T) {
	in := input(pod("Always", "a"), runs("a"))
	in.Failed = &Waiting{Reason: "Evicted", Message: "m", Disruption: true}
	if c := condition(Pod(in).Conditions, corev1.DisruptionTarget); c == nil || c.Status != corev1.ConditionTrue || c.Reason != "TerminationByKubelet" || c.Message != "m" {
		t.Errorf("condition %+v", c)
	}
	in.Failed.Disruption = false
	if c := condition(Pod(in).Conditions, corev1.DisruptionTarget); c != nil {
		t.Errorf("a pod that took too much itself: %+v", c)
	}
	in.Failed.Disruption = true
	preempted := []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler}}
	for _, theirs := range [][]corev1.PodCondition{nil, preempted} {
		merged := MergeConditions(Pod(in).Conditions, theirs)
		if c := condition(merged, corev1.DisruptionTarget); c == nil || c.Reason != "TerminationByKubelet" {
			t.Errorf("beside %v the API is told %v", theirs, merged)
		}
	}
	if merged := MergeConditions(preempted, preempted); len(merged) != 1 || merged[0].Reason != corev1.PodReasonPreemptionByScheduler {
		t.Errorf("a condition of the scheduler's: %v", merged)
	}
}

func TestNotReady(t *testing.T) {
	in := input(pod("Always", "a", "b"), runs("a"))
	in.Waiting = map[string]Waiting{"b": {Reason: ErrImagePull, Message: "no such host"}}
	s := Pod(in)
	if got := condition(s.Conditions, corev1.PodReady); got.Reason != "ContainersNotReady" || got.Message != "containers with unready status: [b]" {
		t.Errorf("condition %+v", got)
	}
	if w := s.ContainerStatuses[1].State.Waiting; w == nil || w.Reason != ErrImagePull || w.Message != "no such host" || s.ContainerStatuses[1].Image != "img" {
		t.Errorf("container %+v", s.ContainerStatuses[1])
	}
	in.Sandbox = nil
	if got := condition(Pod(in).Conditions, corev1.PodReadyToStartContainers); got.Status != corev1.ConditionFalse {
		t.Errorf("condition %+v", got)
	}
}

func TestEndedContainers(t *testing.T) {
	dead := exits("a", 1, 0)
	dead.Message = "bye"
	older := exits("a", 0, 2)
	older.ID = "older"
	s := Pod(input(pod("Never", "a"), older, dead)).ContainerStatuses[0]
	if s.RestartCount != 1 || s.State.Terminated.Reason != "Completed" || s.State.Terminated.Message != "bye" || s.LastTerminationState.Terminated.Reason != "Error" || s.LastTerminationState.Terminated.ExitCode != 2 {
		t.Errorf("container %+v", s)
	}
	// What was reported stays, also when its message can no longer be read.
	p := pod("Never", "a")
	p.Status.ContainerStatuses = []corev1.ContainerStatus{s}
	dead.Message = ""
	if again := Pod(input(p, dead)).ContainerStatuses[0]; again.State.Terminated.Message != "bye" || again.LastTerminationState.Terminated.ExitCode != 2 {
		t.Errorf("container %+v", again)
	}
	never := exits("a", 0, 128)
	never.StartedAt = time.Time{}
	if s := Pod(input(pod("Never", "a"), never)).ContainerStatuses[0]; s.State.Terminated.StartedAt.Unix() != 0 {
		t.Errorf("never started, and yet at %v", s.State.Terminated.StartedAt)
	}
	oom := exits("a", 0, 137)
	oom.Reason = "OOMKilled"
	if s := Pod(input(pod("Always", "a"), oom)).ContainerStatuses[0]; s.State.Terminated.Reason != "OOMKilled" {
		t.Errorf("container %+v", s)
	}
}

func TestContainerLost(t *testing.T) {
	p := pod("Always", "a")
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "a", ContainerID: "containerd://gone", RestartCount: 3, ImageID: "id",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	s := Pod(input(p)).ContainerStatuses[0]
	if last := s.LastTerminationState.Terminated; s.RestartCount != 3 || s.State.Waiting == nil || last == nil || last.Reason != ContainerStatusUnknown || last.ExitCode != 137 {
		t.Errorf("container %+v", s)
	}
}

func TestEndedPodKeepsAddress(t *testing.T) {
	p := pod("Never", "a")
	p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.9"}}
	in := input(p, exits("a", 0, 0))
	in.Sandbox = &cri.Sandbox{State: cri.SandboxNotReady}
	if s := Pod(in); s.PodIP != "10.0.0.9" {
		t.Errorf("address %q", s.PodIP)
	}
}

func TestQOSClass(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		out := corev1.ResourceList{}
		if cpu != "" {
			out[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			out[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return out
	}
	for name, tt := range map[string]struct {
		requests, limits corev1.ResourceList
		want             corev1.PodQOSClass
	}{
		"nothing":        {nil, nil, corev1.PodQOSBestEffort},
		"zero":           {list("0", ""), nil, corev1.PodQOSBestEffort},
		"limits only":    {nil, list("1", "1Gi"), corev1.PodQOSGuaranteed},
		"equal":          {list("1", "1Gi"), list("1", "1Gi"), corev1.PodQOSGuaranteed},
		"one limit only": {nil, list("1", ""), corev1.PodQOSBurstable},
		"requests":       {list("1", "1Gi"), nil, corev1.PodQOSBurstable},
		"below":          {list("500m", "1Gi"), list("1", "1Gi"), corev1.PodQOSBurstable},
	} {
		p := pod("Always", "a")
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: tt.requests, Limits: tt.limits}
		if got := QOSClass(p); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestMessagesOfAPodShareTwelveKibibytes(t *testing.T) {
	message := strings.Repeat("m", 4096)
	for containers, want := range map[int]int{1: 4096, 3: 4096, 4: 3072, 100: 122} {
		var names []string
		var ended []cri.Container
		for i := range containers {
			name := fmt.Sprintf("c%d", i)
			names = append(names, name)
			for attempt := range uint32(2) {
				c := exits(name, attempt, 1)
				c.Message = message
				ended = append(ended, c)
			}
		}
		for _, s := range Pod(input(pod("Never", names...), ended...)).ContainerStatuses {
			if got, last := len(s.State.Terminated.Message), len(s.LastTerminationState.Terminated.Message); got != want || last != want {
				t.Fatalf("of %d containers one has messages of %d and %d bytes, want %d", containers, got, last, want)
			}
		}
	}
}

func TestRejectedPodHasNoContainers(t *testing.T) {
	in := Input{Pod: pod("Always", "a"), HostIPs: []string{"192.0.2.1"}, Now: now, Terminal: true, Rejected: true, Failed: &Waiting{Reason: "OutOfcpu", Message: "m"}}
	got := Pod(in)
	if got.Phase != corev1.PodFailed || got.Reason != "OutOfcpu" || len(got.ContainerStatuses) != 0 {
		t.Errorf("status %+v", got)
	}
	again := pod("Always", "a")
	again.Status = got
	if got := Pod(Input{Pod: again, Now: now, Terminal: true}); len(got.ContainerStatuses) != 0 || got.Phase != corev1.PodFailed {
		t.Errorf("by an agent that did not reject it: %+v", got)
	}
}

func TestLastStateOfContainerThatRuntimeLost(t *testing.T) {
	started := metav1.NewTime(early.Truncate(time.Second))
	p := pod("Always", "a")
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "a", ContainerID: "containerd://lost", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
	}}
	unknown := exits("a", 0, 255)
	unknown.State, unknown.FinishedAt = cri.ContainerUnknown, time.Time{}
	again := cri.Container{ID: "new", Name: "a", Attempt: 1, State: cri.ContainerRunning, StartedAt: now.Time}
	for name, in := range map[string]Input{
		"not made anew yet":             input(p),
		"made anew":                     input(p, again),
		"of which it knows the ID only": input(pod("Always", "a"), again, unknown),
	} {
		last := Pod(in).ContainerStatuses[0].LastTerminationState.Terminated
		if last == nil || !last.StartedAt.Equal(&started) || !last.FinishedAt.Equal(&now) {
			t.Errorf("%s: last state %+v", name, last)
		}
	}
}

// TestAPodGoesOnOfWhichAProbeHasFailed: its container is started again although it has
// ended well.
func TestAPodGoesOnOfWhichAProbeHasFailed(t *testing.T) {
	for policy, want := range map[corev1.RestartPolicy]corev1.PodPhase{
		corev1.RestartPolicyOnFailure: corev1.PodRunning, corev1.RestartPolicyNever: corev1.PodSucceeded,
	} {
		in := Input{
			Pod:        &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, Containers: []corev1.Container{{Name: "c"}}}},
			Containers: []cri.Container{{ID: "a", Name: "c", State: cri.ContainerExited}},
			Probed:     map[string]lifecycle.Probed{"a": {Failed: true}},
		}
		if got := Pod(in).Phase; got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
	}
}

// TestConditionsOfOthersAreAsTheyHaveThem, also gone; ours are as we say, also gone.
func TestConditionsOfOthersAreAsTheyHaveThem(t *testing.T) {
	of := func(c ...corev1.PodConditionType) (all []corev1.PodCondition) {
		for _, t := range c {
			all = append(all, corev1.PodCondition{Type: t})
		}
		return all
	}
	theirs := of("kept", corev1.PodReady, corev1.PodResizePending, "new")
	theirs[0].Status = corev1.ConditionTrue
	var got []string
	for _, c := range MergeConditions(of("kept", "removed", corev1.PodReady, corev1.PodResizeInProgress), theirs) {
		got = append(got, string(c.Type)+string(c.Status))
	}
	if want := []string{"keptTrue", "Ready", "PodResizeInProgress", "new"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAContainerIsToldOfWithWhatItHas while it is still to be resized.
func TestAContainerIsToldOfWithWhatItHas(t *testing.T) {
	cpu := func(q string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}}
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: cpu("2")}, {Name: "b", Resources: cpu("2")}}}}
	p.Generation, p.Spec.Resources = 5, &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5")}}
	whole := cpu("4")
	s := Pod(Input{
		Pod: p, Containers: []cri.Container{{ID: "1", Name: "a", State: cri.ContainerRunning}}, Now: metav1.Unix(9, 0),
		Actual: map[string]corev1.ResourceRequirements{"a": cpu("1"), "b": cpu("1")}, ActualPod: &whole,
		Resizing: []corev1.PodCondition{{Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue, ObservedGeneration: 4}},
	})
	a, b := s.ContainerStatuses[0], s.ContainerStatuses[1]
	if a.Resources.Requests.Cpu().Value() != 1 || a.AllocatedResources.Cpu().Value() != 2 || b.Resources.Requests.Cpu().Value() != 2 {
		t.Errorf("a has %v of %v, b, which does not run, %v", a.Resources, a.AllocatedResources, b.Resources)
	}
	if s.AllocatedResources.Cpu().Value() != 5 || s.Resources.Requests.Cpu().Value() != 4 {
		t.Errorf("the pod has %v of %v", s.Resources, s.AllocatedResources)
	}
	if c := condition(s.Conditions, corev1.PodResizeInProgress); c == nil || c.ObservedGeneration != 4 || c.LastTransitionTime.Unix() != 9 {
		t.Errorf("condition %+v", c)
	}
	p.Status = s
	if s = Pod(Input{Pod: p}); condition(s.Conditions, corev1.PodResizeInProgress) != nil {
		t.Error("a resize that is done is still told of")
	}
}

// TestAContainerThatIsReplacedHasNotEnded, whatever it exits with and its pod's policy says.
func TestAContainerThatIsReplacedHasNotEnded(t *testing.T) {
	for _, policy := range []corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure} {
		in := Input{Pod: pod(policy, "a"), Containers: []cri.Container{{ID: "1", Name: "a", State: cri.ContainerExited}}, Waiting: map[string]Waiting{"a": {Reason: ContainerCreating}}}
		in.Replaced = lifecycle.Replace{"a": "1"}
		if s := Pod(in); s.Phase != corev1.PodRunning {
			t.Errorf("%s: phase %s while the container is replaced", policy, s.Phase)
		}
		in.Replaced, in.Waiting = lifecycle.Replace{"a": "0"}, nil
		if s := Pod(in); s.Phase != corev1.PodSucceeded {
			t.Errorf("%s: phase %s, another container was replaced", policy, s.Phase)
		}
	}
}
