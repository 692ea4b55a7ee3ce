package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

func TestContainerThatIsAttachedToIsToldOfOnceItHasRunAWhile(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		once  bool
		phase corev1.PodPhase
		state cri.ContainerState
		ran   time.Duration
		want  time.Duration
	}{
		"just started":              {true, corev1.PodPending, cri.ContainerRunning, 50 * time.Millisecond, attachable - 50*time.Millisecond},
		"after the clock was set":   {true, corev1.PodPending, cri.ContainerRunning, -time.Hour, attachable},
		"has run a while":           {true, corev1.PodPending, cri.ContainerRunning, attachable, 0},
		"has ended":                 {true, corev1.PodPending, cri.ContainerExited, time.Millisecond, 0},
		"is told of already":        {true, corev1.PodRunning, cri.ContainerRunning, time.Millisecond, 0},
		"nobody is going to attach": {false, corev1.PodPending, cri.ContainerRunning, time.Millisecond, 0},
	} {
		pod := &corev1.Pod{
			Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Stdin: tt.once, StdinOnce: tt.once}}},
			Status: corev1.PodStatus{Phase: tt.phase},
		}
		all := []cri.Container{{Name: "c", State: tt.state, StartedAt: now.Add(-tt.ran)}}
		if got := Untold(pod, all, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestDebuggerThatEndsAtOnceIsToldOfOnlyWhenItHasEnded(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		stdin, told bool
		state       cri.ContainerState
		ran, want   time.Duration
	}{
		"just started":              {true, false, cri.ContainerRunning, 50 * time.Millisecond, attachable - 50*time.Millisecond},
		"has run a while":           {true, false, cri.ContainerRunning, attachable, 0},
		"has ended":                 {true, false, cri.ContainerExited, time.Millisecond, 0},
		"is told of already":        {true, true, cri.ContainerRunning, time.Millisecond, 0},
		"nobody is going to attach": {false, false, cri.ContainerRunning, time.Millisecond, 0},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		pod.Spec.Containers = []corev1.Container{{Name: "c", Stdin: true, StdinOnce: true}}
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Stdin: tt.stdin}}}
		if tt.told {
			pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "d", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}
		all := []cri.Container{{Name: "c", State: cri.ContainerRunning, StartedAt: now}, {Name: "d", State: tt.state, StartedAt: now.Add(-tt.ran)}}
		if got := Untold(pod, all, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
