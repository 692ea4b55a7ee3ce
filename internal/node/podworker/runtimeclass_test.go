package podworker

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
)

// told keeps what events say.
type told struct {
	mu  sync.Mutex
	all []string
}

func (e *told) Event(_ apiruntime.Object, kind, reason, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, kind+" "+reason+" "+message)
}

func (e *told) Eventf(o apiruntime.Object, kind, reason, format string, args ...any) {
	e.Event(o, kind, reason, fmt.Sprintf(format, args...))
}

func (e *told) heard(text string) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Contains(e.all, text)
	}
}

func TestSandboxIsRunByTheHandlerOfThePodsClass(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyAlways)
	pod.Spec.RuntimeClassName = new("vm")
	w := New(m.deps(), pod, Origin{})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	if !slices.Contains(m.done(), "run sandbox by handler-of-vm") {
		t.Errorf("did %q", m.done())
	}
}

func TestPodOfAMissingClassWaitsAndSaysSo(t *testing.T) {
	m, events := newMachine(t), &told{}
	pod := newPod(corev1.RestartPolicyAlways)
	pod.Spec.RuntimeClassName = new("missing")
	d := m.deps()
	d.Events = events
	w := New(d, pod, Origin{})
	begin(t, w)
	eventually(t, "an event says why", events.heard(`Warning FailedCreatePodSandBox Failed to create pod sandbox: runtimeclasses.node.k8s.io "missing" not found`))
	if slices.ContainsFunc(m.done(), func(s string) bool { return len(s) > 11 && s[:11] == "run sandbox" }) {
		t.Errorf("did %q", m.done())
	}
}
