package status

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// roles is a pod with init containers i and j, a sidecar s between them, main containers
// b and a, and an ephemeral container e.
func roles(policy corev1.RestartPolicy) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := pod(policy, "b", "a")
	p.Spec.InitContainers = []corev1.Container{{Name: "i"}, {Name: "s", RestartPolicy: &always}, {Name: "j"}}
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
	return p
}

// told is a status in few words: the phase, the conditions that are not as in a pod that
// runs, and the containers that do not run.
func told(s corev1.PodStatus) string {
	out := []string{string(s.Phase)}
	for _, c := range s.Conditions {
		switch c.Type {
		case corev1.PodInitialized, corev1.ContainersReady, corev1.AllContainersRestarting:
			if c.Status != corev1.ConditionTrue || c.Reason != "" {
				out = append(out, strings.TrimRight(fmt.Sprintf("%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message), " "))
			}
		}
	}
	return strings.Join(out, "; ")
}

func TestPhaseAndConditionsByRole(t *testing.T) {
	starting := map[string]lifecycle.Probed{"s-id": {}}
	crash := map[string]Waiting{"i": {Reason: CrashLoopBackOff}}
	const (
		noneReady = "ContainersReady=False ContainersNotReady containers with unready status: [s b a]"
		mains     = "ContainersReady=False ContainersNotReady containers with unready status: [b a]"
		missing   = "; Initialized=False ContainersNotInitialized containers with incomplete status: "
	)
	for name, tt := range map[string]struct {
		policy     corev1.RestartPolicy
		containers []cri.Container
		probed     map[string]lifecycle.Probed
		waiting    map[string]Waiting
		terminal   bool
		want       string
	}{
		"nothing yet":             {want: "Pending" + missing + "[i s j]; " + noneReady},
		"the first runs":          {containers: []cri.Container{runs("i")}, want: "Pending" + missing + "[i s j]; " + noneReady},
		"the first failed":        {containers: []cri.Container{exits("i", 0, 1)}, waiting: crash, want: "Pending" + missing + "[i s j]; " + noneReady},
		"by OnFailure":            {policy: "OnFailure", containers: []cri.Container{exits("i", 0, 1)}, want: "Pending" + missing + "[i s j]; " + noneReady},
		"by Never it is the end":  {policy: "Never", containers: []cri.Container{exits("i", 0, 1)}, want: "Failed" + missing + "[i s j]; ContainersReady=False PodFailed"},
		"but not while one runs":  {policy: "Never", containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 1)}, want: "Pending" + missing + "[j]; " + mains},
		"a sidecar starts":        {containers: []cri.Container{exits("i", 0, 0), runs("s")}, probed: starting, want: "Pending" + missing + "[s j]; " + noneReady},
		"a sidecar is started":    {containers: []cri.Container{exits("i", 0, 0), runs("s")}, want: "Pending" + missing + "[j]; " + mains},
		"initialized":             {containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0)}, want: "Pending; " + mains},
		"one main runs":           {containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), runs("a")}, want: "Pending; ContainersReady=False ContainersNotReady containers with unready status: [b]"},
		"all run":                 {containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), runs("a"), runs("b")}, want: "Running"},
		"records are gone":        {containers: []cri.Container{runs("s"), runs("a"), runs("b")}, want: "Running"},
		"a sidecar ended":         {containers: []cri.Container{exits("i", 0, 0), exits("s", 0, 3), exits("j", 0, 0), runs("a"), runs("b")}, want: "Running; ContainersReady=False ContainersNotReady containers with unready status: [s]"},
		"a sidecar starts again":  {containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), runs("a"), runs("b")}, probed: starting, want: "Running; ContainersReady=False ContainersNotReady containers with unready status: [s]"},
		"mains done, s runs":      {policy: "Never", containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), exits("a", 0, 0), exits("b", 0, 0)}, want: "Running; " + mains},
		"mains done, s ended":     {policy: "Never", containers: []cri.Container{exits("i", 0, 0), exits("s", 0, 137), exits("j", 0, 0), exits("a", 0, 0), exits("b", 0, 0)}, want: "Succeeded; Initialized=True PodCompleted; ContainersReady=False PodCompleted"},
		"a main failed, s ended":  {policy: "Never", containers: []cri.Container{exits("i", 0, 0), exits("s", 0, 0), exits("j", 0, 0), exits("a", 0, 1), exits("b", 0, 0)}, want: "Failed; ContainersReady=False PodFailed"},
		"deleted before its time": {terminal: true, containers: []cri.Container{exits("i", 0, 137)}, want: "Failed" + missing + "[i s j]; ContainersReady=False PodFailed"},
		"e counts for nothing":    {containers: []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), runs("a"), runs("b"), exits("e", 0, 1)}, want: "Running"},
		"nor while it runs alone": {containers: []cri.Container{runs("e")}, want: "Pending" + missing + "[i s j]; " + noneReady},
	} {
		policy := tt.policy
		if policy == "" {
			policy = corev1.RestartPolicyAlways
		}
		in := input(roles(policy), tt.containers...)
		in.Probed, in.Waiting, in.Terminal = tt.probed, tt.waiting, tt.terminal
		if got := told(Pod(in)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestStatusesByRole(t *testing.T) {
	in := input(roles("Always"), exits("i", 0, 0), runs("s"), runs("e"))
	in.Probed = map[string]lifecycle.Probed{"s-id": {Started: true}}
	s := Pod(in)
	var got []string
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses} {
		for _, c := range list {
			state := "running"
			switch {
			case c.State.Waiting != nil:
				state = c.State.Waiting.Reason
			case c.State.Terminated != nil:
				state = c.State.Terminated.Reason
			}
			started := "unsaid"
			if c.Started != nil {
				started = fmt.Sprint(*c.Started)
			}
			got = append(got, fmt.Sprintf("%s %s ready=%t started=%s resources=%t", c.Name, state, c.Ready, started, c.Resources != nil))
		}
		got = append(got, "")
	}
	want := `i Completed ready=true started=false resources=true
s running ready=false started=true resources=true
j PodInitializing ready=false started=false resources=true

a PodInitializing ready=false started=false resources=true
b PodInitializing ready=false started=false resources=true

e running ready=false started=unsaid resources=false
`
	if strings.Join(got, "\n") != want {
		t.Errorf("statuses\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// TestVanishedInitContainers have ended as the API knows, or must have.
func TestVanishedInitContainers(t *testing.T) {
	p := roles("Always")
	p.Status = Pod(input(p, exits("i", 2, 0), runs("s")))
	before := p.Status.InitContainerStatuses[0]
	s := Pod(input(p, runs("s"), runs("a"), runs("b")))
	i, j := s.InitContainerStatuses[0], s.InitContainerStatuses[2]
	if i.State.Terminated == nil || *i.State.Terminated != *before.State.Terminated || !i.Ready || i.RestartCount != 2 {
		t.Errorf("what was known of i: %+v", i)
	}
	if end := j.State.Terminated; end == nil || end.ExitCode != 0 || end.Reason != "Completed" || !j.Ready ||
		end.Message != "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally" {
		t.Errorf("nothing was known of j: %+v", j)
	}
}

// TestRestartOfAllContainers goes through the states of a pod that one of its containers
// has restarted.
func TestRestartOfAllContainers(t *testing.T) {
	p := roles("Never")
	never := corev1.ContainerRestartPolicyNever
	p.Spec.Containers[0].RestartPolicy = &never
	p.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{
		Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}},
	}}
	all := []cri.Container{exits("i", 0, 0), runs("s"), exits("j", 0, 0), runs("a"), exits("b", 1, 42), runs("e")}
	in := input(p, all...)
	in.Restarting = true
	p.Status = Pod(in)
	if got := told(p.Status); !strings.HasPrefix(got, "Running; ContainersReady") ||
		!strings.HasSuffix(got, "; AllContainersRestarting=True RestartAllContainersStarted container exited with restart policy rule") {
		t.Errorf("while they are removed: %s", got)
	}
	p.Status = Pod(input(p))
	if got := told(p.Status); !strings.Contains(got, "Pending; Initialized=False") || !strings.HasSuffix(got, "AllContainersRestarting=False") {
		t.Errorf("after that: %s", got)
	}
	for _, name := range []string{"i", "s", "j", "a", "b"} {
		c := lifecycle.Reported(&p.Status, name)
		last := c.LastTerminationState.Terminated
		if c.State.Waiting == nil || c.State.Waiting.Reason != RestartingAllContainers || last == nil || last.ExitCode != 137 ||
			last.Reason != RestartingAllContainers || last.Message != "The container is removed because RestartAllContainers in place" {
			t.Errorf("%s: %+v, last %+v", name, c.State, c.LastTerminationState)
		}
	}
	if attempt, _ := lifecycle.Next(nil, lifecycle.Reported(&p.Status, "b")); attempt != 2 {
		t.Errorf("the next of b has number %d", attempt)
	}
	again := runs("i")
	again.Attempt = 1
	s := Pod(input(p, again))
	if s.Phase != corev1.PodPending {
		t.Errorf("started again, and %s", s.Phase)
	}
	if c := lifecycle.Reported(&s, "i"); c.State.Running == nil || c.RestartCount != 1 || c.LastTerminationState.Terminated.Reason != RestartingAllContainers {
		t.Errorf("started again: %+v", c)
	}
	if c := lifecycle.Reported(&s, "a"); c.LastTerminationState.Terminated.Reason != RestartingAllContainers || c.State.Waiting == nil {
		t.Errorf("waiting to be started again: %+v", c)
	}
}

// TestContainerThatWasMadeOnlyIsNotToldOf holds for the first one and for a restart.
func TestContainerThatWasMadeOnlyIsNotToldOf(t *testing.T) {
	made := cri.Container{ID: "made", Name: "a", Attempt: 3}
	p := pod("Always", "a")
	c := Pod(input(p, made)).ContainerStatuses[0]
	if c.ContainerID != "" || c.RestartCount != 0 || c.State.Waiting == nil || c.State.Waiting.Reason != ContainerCreating {
		t.Errorf("the first: %+v", c)
	}
	c = Pod(input(p, made, exits("a", 2, 1))).ContainerStatuses[0]
	if c.ContainerID != "containerd://a-dead" || c.RestartCount != 2 || c.State.Waiting == nil || c.LastTerminationState.Terminated == nil {
		t.Errorf("a restart: %+v", c)
	}
	if attempt, _ := lifecycle.Next(nil, &c); attempt != 3 {
		t.Errorf("made again it has number %d", attempt)
	}
}
