package podworker

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// probedPod is a pod whose container has a probe of each kind that is asked for.
func probedPod(policy corev1.RestartPolicy, kinds ...string) *corev1.Pod {
	pod := newPod(policy)
	c := &pod.Spec.Containers[0]
	for _, k := range kinds {
		p := &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 1}
		p.Exec = &corev1.ExecAction{Command: []string{k}}
		switch k {
		case "ready":
			c.ReadinessProbe = p
		case "live":
			c.LivenessProbe = p
		case "start":
			c.StartupProbe = p
		}
	}
	return pod
}

// api is the status of the pod's container as the API has it.
func (m *machine) api() (s corev1.ContainerStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if all := m.status.ContainerStatuses; len(all) > 0 {
		s = all[0]
	}
	return s
}

func TestReadinessReachesTheStatus(t *testing.T) {
	m := newMachine(t)
	var ready atomic.Bool
	m.command = func([]string) (int32, error) {
		if ready.Load() {
			return 0, nil
		}
		return 1, nil
	}
	begin(t, New(m.deps(), probedPod(corev1.RestartPolicyAlways, "ready"), Origin{}))
	eventually(t, "the container runs", func() bool { return m.api().State.Running != nil })
	if s := m.api(); s.Ready || !*s.Started {
		t.Errorf("before its probe passes: %+v", s)
	}
	ready.Store(true)
	eventually(t, "it is ready", func() bool { return m.api().Ready })
	ready.Store(false)
	eventually(t, "it is not ready", func() bool { return !m.api().Ready })
}

// TestReadinessIsReportedWhileAnImageIsPulled: a step that waits for an hour does
// not keep what probes find from the API.
func TestReadinessIsReportedWhileAnImageIsPulled(t *testing.T) {
	m := newMachine(t)
	pod := probedPod(corev1.RestartPolicyAlways, "ready")
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "d", Image: "absent", ImagePullPolicy: corev1.PullAlways})
	begin(t, New(m.deps(), pod, Origin{}))
	eventually(t, "the image is pulled", func() bool { return len(m.pulls) == 1 })
	eventually(t, "the first container is ready", func() bool { return m.api().Ready })
}

func TestAContainerThatIsNotWellIsStartedAgain(t *testing.T) {
	for _, policy := range []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever} {
		for _, kind := range []string{"live", "start"} {
			m := newMachine(t)
			var asked atomic.Int32
			m.command = func([]string) (int32, error) { return map[bool]int32{true: 1}[asked.Add(1) == 1], nil }
			begin(t, New(m.deps(), probedPod(policy, kind), Origin{}))
			eventually(t, "it is stopped", func() bool { return slices.Contains(m.done(), "stop c0") })
			if policy == corev1.RestartPolicyNever {
				eventually(t, "the pod has ended", func() bool { return slices.Contains(m.done(), "report Succeeded") })
				continue
			}
			eventually(t, "the next one runs", func() bool { s := m.api(); return s.RestartCount == 1 && s.State.Running != nil && *s.Started })
			if did := m.done(); slices.Contains(did, "report Succeeded") || slices.Contains(did, "start c2") {
				t.Errorf("%s, %s: %q", policy, kind, did)
			}
		}
	}
}

// takenOver is a machine on which an earlier agent has started the pod.
func takenOver(t *testing.T, pod *corev1.Pod) *machine {
	m := newMachine(t)
	m.sandboxes = []cri.Sandbox{{ID: "sandbox0", IPs: []string{"10.0.0.9"}}}
	m.containers = []cri.Container{{
		ID: "c0", SandboxID: "sandbox0", Name: "c", State: cri.ContainerRunning, StartedAt: time.Now().Add(-time.Hour),
		Annotations: map[string]string{lifecycle.AnnotationHash: lifecycle.Hash(&pod.Spec.Containers[0])},
	}}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "c", ContainerID: "fake://c0", Started: new(true), Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	return m
}

func TestAReadyContainerStaysReadyWhenItIsTakenOver(t *testing.T) {
	pod := probedPod(corev1.RestartPolicyAlways, "ready", "start")
	m := takenOver(t, pod)
	asked := make(chan struct{}, 100)
	m.command = func(command []string) (int32, error) {
		if command[0] == "start" {
			t.Error("asked again whether it has started")
		}
		asked <- struct{}{}
		return 0, nil
	}
	w := New(m.deps(), pod, Origin{OnRuntime: true})
	begin(t, w)
	for len(asked) < 2 {
		if s := w.Snapshot().Status; s != nil && !s.ContainerStatuses[0].Ready {
			t.Fatalf("not ready: %+v", s.ContainerStatuses[0])
		}
	}
}

// TestHooksOfAnEarlierAgentAreRunAgain: one that is owed, and none that is not.
func TestHooksOfAnEarlierAgentAreRunAgain(t *testing.T) {
	for _, owed := range []bool{true, false} {
		pod := newPod(corev1.RestartPolicyAlways)
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}}}
		m := takenOver(t, pod)
		w := New(m.deps(), pod, Origin{OnRuntime: true})
		if owed {
			pod.Status.ContainerStatuses = nil
			if err := w.hooks.owe(&pod.Spec.Containers[0], 0); err != nil {
				t.Fatal(err)
			}
		}
		begin(t, w)
		eventually(t, "the container runs", func() bool { s := w.Snapshot().Status; return s != nil && s.ContainerStatuses[0].Ready })
		if got := slices.Contains(m.done(), "hook of c0"); got != owed {
			t.Errorf("owed: %v, run: %v", owed, got)
		}
		if w.hooks.files.Owes(w.uid, "c", 0) {
			t.Error("still owed")
		}
	}
}

func TestAContainerThatRunsItsPostStartHookIsBeingCreated(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyNever)
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{}}}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "next", Image: "i", ImagePullPolicy: corev1.PullIfNotPresent})
	end := make(chan error)
	m.hook = func(ctx context.Context, _ *corev1.LifecycleHandler) error { return <-end }
	begin(t, New(m.deps(), pod, Origin{}))
	eventually(t, "its hook runs", func() bool { return slices.Contains(m.done(), "hook of c0") })
	eventually(t, "it is reported", func() bool { return m.api().ContainerID != "" })
	if s := m.api(); s.State.Waiting == nil || s.State.Waiting.Reason != status.ContainerCreating || *s.Started || s.Ready {
		t.Errorf("while its hook runs: %+v", s)
	}
	if slices.Contains(m.done(), "create next") {
		t.Error("the next container did not wait")
	}
	end <- nil
	eventually(t, "the pod runs", func() bool {
		return slices.Contains(m.done(), "report Running") && slices.Contains(m.done(), "start next0")
	})
}

func TestAPostStartHookThatFailsStopsTheContainer(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyAlways)
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{}}}
	var runs atomic.Int32
	m.hook = func(context.Context, *corev1.LifecycleHandler) error {
		if runs.Add(1) == 1 {
			return errors.New("no")
		}
		return nil
	}
	begin(t, New(m.deps(), pod, Origin{}))
	eventually(t, "the next one runs", func() bool { s := m.api(); return s.RestartCount == 1 && s.Ready })
	did := m.done()
	if i, j := slices.Index(did, "stop c0"), slices.Index(did, "start c1"); i < 0 || j < i {
		t.Errorf("did %q", did)
	}
}

// TestAPreStopHookComesFirst: and only once, when the grace period is cut short meanwhile.
func TestAPreStopHookComesFirst(t *testing.T) {
	m := newMachine(t)
	pod := newPod(corev1.RestartPolicyAlways)
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{}}}
	end := make(chan error)
	m.hook = func(ctx context.Context, _ *corev1.LifecycleHandler) error { return <-end }
	w := New(m.deps(), pod, Origin{})
	finished := begin(t, w)
	eventually(t, "the pod runs", runs(w))
	long := deleted(pod)
	long.DeletionGracePeriodSeconds = new(int64(60))
	long.DeletionTimestamp.Time = time.Now().Add(time.Minute)
	w.Update(long)
	eventually(t, "its hook runs", func() bool { return slices.Contains(m.done(), "hook of c0") })
	short := long.DeepCopy()
	short.DeletionGracePeriodSeconds = new(int64(30))
	w.Update(short)
	time.Sleep(50 * time.Millisecond)
	if slices.Contains(m.done(), "stop c0") {
		t.Error("stopped while its hook runs")
	}
	end <- nil
	eventually(t, "it is stopped", func() bool { return slices.Contains(m.done(), "stop c0") })
	w.Remove(short)
	if !finished() {
		t.Error("the pod is not gone")
	}
	hooks := 0
	for _, did := range m.done() {
		if did == "hook of c0" {
			hooks++
		}
	}
	if hooks != 1 {
		t.Errorf("the hook was run %d times", hooks)
	}
}

// TestAHookIsRunOfAPodThatIsGone: an agent that was away when the pod was removed finds
// nothing but the container.
func TestAHookIsRunOfAPodThatIsGone(t *testing.T) {
	pod := newPod(corev1.RestartPolicyAlways)
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	m := takenOver(t, pod)
	m.containers[0].Annotations[hook.AnnotationPreStop] = hook.Annotation(&pod.Spec.Containers[0])
	m.hook = func(_ context.Context, h *corev1.LifecycleHandler) error {
		if h.Sleep == nil || h.Sleep.Seconds != 3 {
			t.Errorf("ran %+v", h)
		}
		return nil
	}
	gone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u"}}
	if !begin(t, New(m.deps(), gone, Origin{Gone: true, OnRuntime: true}))() {
		t.Error("the pod is not gone")
	}
	did := m.done()
	if i, j := slices.Index(did, "hook of c0"), slices.Index(did, "stop c0"); i < 0 || j < i {
		t.Errorf("did %q", did)
	}
}
