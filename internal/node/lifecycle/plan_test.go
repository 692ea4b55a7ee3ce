package lifecycle

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestDecide(t *testing.T) {
	a := corev1.Container{Name: "a", Image: "i"}
	ready := cri.Sandbox{ID: "s", State: cri.SandboxReady, IPs: []string{"10.0.0.1"}}
	dead := cri.Sandbox{ID: "s", State: cri.SandboxNotReady}
	of := func(state cri.ContainerState, code int32, sandbox, hash string) cri.Container {
		return cri.Container{ID: "c", Name: "a", State: state, ExitCode: code, SandboxID: sandbox, Annotations: map[string]string{AnnotationHash: hash}}
	}
	hash := Hash(&a)
	tests := map[string]struct {
		policy     corev1.RestartPolicy
		hostNet    bool
		sandboxes  []cri.Sandbox
		containers []cri.Container
		replace    Replace
		sandbox    bool
		replaced   bool
		stop       int
		start      int
		asked      bool
		over       bool
	}{
		"new":                            {policy: "Always", start: 1},
		"running":                        {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", hash)}, sandbox: true},
		"running, no hash":               {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", "")}, sandbox: true},
		"image changed":                  {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", "old")}, sandbox: true, stop: 1, start: 1},
		"in another sandbox":             {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "t", hash)}, sandbox: true, stop: 1, start: 1},
		"sandbox dead":                   {policy: "Always", sandboxes: []cri.Sandbox{dead}, containers: []cri.Container{of(cri.ContainerExited, 137, "s", hash)}, replaced: true, start: 1},
		"sandbox without address":        {policy: "Always", sandboxes: []cri.Sandbox{{ID: "s"}}, replaced: true, start: 1},
		"host network":                   {policy: "Always", hostNet: true, sandboxes: []cri.Sandbox{{ID: "s"}}, sandbox: true, start: 1},
		"never, done":                    {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 1, "s", hash)}, sandbox: true, over: true},
		"never, made only":               {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerCreated, 0, "s", hash)}, sandbox: true, start: 1},
		"never, sandbox dead":            {policy: "Never", sandboxes: []cri.Sandbox{dead}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, replaced: true, over: true},
		"on failure, failed":             {policy: "OnFailure", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 1, "s", hash)}, sandbox: true, start: 1},
		"on failure, done":               {policy: "OnFailure", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, sandbox: true, over: true},
		"always, done":                   {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, sandbox: true, start: 1},
		"running, to be replaced":        {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", hash)}, replace: Replace{"a": "c"}, sandbox: true, stop: 1, start: 1, asked: true},
		"never, running, to be replaced": {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", hash)}, replace: Replace{"a": "c"}, sandbox: true, stop: 1, start: 1, asked: true},
		"never, done, to be replaced":    {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 1, "s", hash)}, replace: Replace{"a": "c"}, sandbox: true, start: 1, asked: true},
		"changed and to be replaced":     {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", "old")}, replace: Replace{"a": "c"}, sandbox: true, stop: 1, start: 1},
		"another is to be replaced":      {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", hash)}, replace: Replace{"a": "d", "b": "c"}, sandbox: true},
		"always, done, to be replaced":   {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, replace: Replace{"a": "c"}, sandbox: true, start: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: tt.policy, HostNetwork: tt.hostNet, Containers: []corev1.Container{a}}}
			p := Decide(pod, &Runtime{Sandboxes: tt.sandboxes, Containers: tt.containers}, tt.replace)
			if (p.Sandbox != nil) != tt.sandbox || p.Replaced != tt.replaced || len(p.Stop) != tt.stop || len(p.Start) != tt.start || p.Over != tt.over {
				t.Errorf("plan %+v, want %+v", p, tt)
			}
			if len(p.Start) > 0 && p.Start[0].Asked != tt.asked {
				t.Errorf("asked for: %t", p.Start[0].Asked)
			}
		})
	}
}

// TestDecideForSeveralContainers has one of each kind in one pod, in the spec's order.
func TestDecideForSeveralContainers(t *testing.T) {
	spec := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyOnFailure}
	for _, name := range []string{"runs", "done", "failed", "changed", "new", "asked"} {
		spec.Containers = append(spec.Containers, corev1.Container{Name: name, Image: "i"})
	}
	hash := func(name string) map[string]string {
		return map[string]string{AnnotationHash: Hash(&corev1.Container{Name: name, Image: "i"})}
	}
	r := &Runtime{Sandboxes: []cri.Sandbox{{ID: "s", IPs: []string{"10.0.0.1"}}}, Containers: []cri.Container{
		{ID: "1", Name: "runs", State: cri.ContainerRunning, SandboxID: "s", Annotations: hash("runs"), Attempt: 1},
		{ID: "0", Name: "runs", State: cri.ContainerExited, SandboxID: "s", ExitCode: 1},
		{ID: "2", Name: "done", State: cri.ContainerExited, SandboxID: "s"},
		{ID: "3", Name: "failed", State: cri.ContainerExited, SandboxID: "s", ExitCode: 2},
		{ID: "4", Name: "changed", State: cri.ContainerRunning, SandboxID: "s", Annotations: hash("other")},
		{ID: "5", Name: "asked", State: cri.ContainerRunning, SandboxID: "s", Annotations: hash("asked")},
	}}
	p := Decide(&corev1.Pod{Spec: spec}, r, Replace{"asked": "5"})
	var stop, start []string
	for _, c := range p.Stop {
		stop = append(stop, c.ID)
	}
	for _, c := range p.Start {
		start = append(start, c.Spec.Name)
	}
	if !slices.Equal(stop, []string{"4", "5"}) || !slices.Equal(start, []string{"failed", "changed", "new", "asked"}) || p.Over {
		t.Errorf("stop %v, start %v, over %t", stop, start, p.Over)
	}
}

func TestNext(t *testing.T) {
	dead := &cri.Container{State: cri.ContainerExited, Attempt: 4}
	made := &cri.Container{State: cri.ContainerCreated, Attempt: 4}
	for name, tt := range map[string]struct {
		newest   *cri.Container
		reported *corev1.ContainerStatus
		attempt  uint32
		remove   bool
	}{
		"the first":              {},
		"reported, never made":   {reported: &corev1.ContainerStatus{}},
		"only the API knows one": {reported: &corev1.ContainerStatus{ContainerID: "containerd://x", RestartCount: 2}, attempt: 3},
		"after a dead one":       {newest: dead, reported: &corev1.ContainerStatus{ContainerID: "containerd://x", RestartCount: 9}, attempt: 5},
		"never started":          {newest: made, attempt: 4, remove: true},
	} {
		if attempt, remove := Next(tt.newest, tt.reported); attempt != tt.attempt || remove != tt.remove {
			t.Errorf("%s: %d, %t", name, attempt, remove)
		}
	}
}
