package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

func TestDecide(t *testing.T) {
	a := corev1.Container{Name: "a", Image: "i"}
	ready := cri.Sandbox{ID: "s", State: cri.SandboxReady, IPs: []string{"10.0.0.1"}}
	dead := cri.Sandbox{ID: "s", State: cri.SandboxNotReady}
	of := func(state cri.ContainerState, code int32, sandbox, hash string) cri.Container {
		return cri.Container{ID: "c", Name: "a", State: state, ExitCode: code, SandboxID: sandbox, Annotations: map[string]string{runspec.AnnotationHash: hash}}
	}
	hash := runspec.Hash(&a)
	tests := map[string]struct {
		policy     corev1.RestartPolicy
		hostNet    bool
		sandboxes  []cri.Sandbox
		containers []cri.Container
		sandbox    bool
		replaced   bool
		stop       int
		start      int
		over       bool
	}{
		"new":                     {policy: "Always", start: 1},
		"running":                 {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", hash)}, sandbox: true},
		"running, no hash":        {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", "")}, sandbox: true},
		"image changed":           {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "s", "old")}, sandbox: true, stop: 1, start: 1},
		"in another sandbox":      {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerRunning, 0, "t", hash)}, sandbox: true, stop: 1, start: 1},
		"sandbox dead":            {policy: "Always", sandboxes: []cri.Sandbox{dead}, containers: []cri.Container{of(cri.ContainerExited, 137, "s", hash)}, replaced: true, start: 1},
		"sandbox without address": {policy: "Always", sandboxes: []cri.Sandbox{{ID: "s"}}, replaced: true, start: 1},
		"host network":            {policy: "Always", hostNet: true, sandboxes: []cri.Sandbox{{ID: "s"}}, sandbox: true, start: 1},
		"never, done":             {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 1, "s", hash)}, sandbox: true, over: true},
		"never, made only":        {policy: "Never", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerCreated, 0, "s", hash)}, sandbox: true, start: 1},
		"never, sandbox dead":     {policy: "Never", sandboxes: []cri.Sandbox{dead}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, replaced: true, over: true},
		"on failure, failed":      {policy: "OnFailure", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 1, "s", hash)}, sandbox: true, start: 1},
		"on failure, done":        {policy: "OnFailure", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, sandbox: true, over: true},
		"always, done":            {policy: "Always", sandboxes: []cri.Sandbox{ready}, containers: []cri.Container{of(cri.ContainerExited, 0, "s", hash)}, sandbox: true, start: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: tt.policy, HostNetwork: tt.hostNet, Containers: []corev1.Container{a}}}
			p := decide(pod, &podRuntime{sandboxes: tt.sandboxes, containers: tt.containers})
			if (p.sandbox != nil) != tt.sandbox || p.replaced != tt.replaced || len(p.stop) != tt.stop || len(p.start) != tt.start || p.over != tt.over {
				t.Errorf("plan %+v, want %+v", p, tt)
			}
		})
	}
}
