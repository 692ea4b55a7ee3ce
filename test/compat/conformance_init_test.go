package compat

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// initialized returns a pod of two init containers, which run a program each, and a main
// container.
func initialized(name string, policy corev1.RestartPolicy, first, second, main string) *corev1.Pod {
	pod := shell(name, main)
	pod.Spec.RestartPolicy = policy
	for i, program := range []string{first, second} {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{
			Name: []string{"init1", "init2"}[i], Image: "busybox:1.28", Command: []string{program}})
	}
	return pod
}

// condition returns a condition of a pod.
func condition(p *corev1.Pod, kind corev1.PodConditionType) (c corev1.PodCondition) {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return c
}

// wantInitialized checks a pod whose init containers have all done their work.
func wantInitialized(t testing.TB, p *corev1.Pod) {
	t.Helper()
	if c := condition(p, corev1.PodInitialized); c.Status != corev1.ConditionTrue {
		t.Errorf("the condition is %+v", c)
	}
	if n := len(p.Status.InitContainerStatuses); n != 2 {
		t.Errorf("%d init containers have a status", n)
	}
	for _, c := range p.Status.InitContainerStatuses {
		if !c.Ready || c.State.Terminated == nil || c.State.Terminated.ExitCode != 0 {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
}

// wantHeldBack checks a pod of which init containers are not done.
func wantHeldBack(t testing.TB, p *corev1.Pod, message string) {
	t.Helper()
	if c := condition(p, corev1.PodInitialized); c.Status != corev1.ConditionFalse || c.Reason != "ContainersNotInitialized" || c.Message != message {
		t.Errorf("the condition is %+v, want message %q", c, message)
	}
	if len(p.Status.ContainerStatuses) != 1 {
		t.Fatalf("statuses of containers: %+v", p.Status.ContainerStatuses)
	}
	if c := p.Status.ContainerStatuses[0]; c.State.Waiting == nil || c.State.Waiting.Reason != "PodInitializing" || c.RestartCount != 0 || c.ContainerID != "" {
		t.Errorf("the main container: %+v", c)
	}
}

func TestConformanceInitContainers(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] InitContainer should invoke init containers on a RestartNever pod", func(t *testing.T) {
		ended := s.ended(t, initialized(s.name("pod"), corev1.RestartPolicyNever, "true", "true", "true"))
		if ended.Status.Phase != corev1.PodSucceeded {
			t.Errorf("the pod is %s", ended.Status.Phase)
		}
		wantInitialized(t, ended)
	})
	s.conforms(t, "[sig-node] InitContainer should invoke init containers on a RestartAlways pod", func(t *testing.T) {
		wantInitialized(t, s.runs(t, initialized(s.name("pod"), corev1.RestartPolicyAlways, "true", "true", forever)))
	})
	s.conforms(t, "[sig-node] InitContainer should not start app containers and fail the pod if init containers fail on a RestartNever pod", func(t *testing.T) {
		ended := s.ended(t, initialized(s.name("pod"), corev1.RestartPolicyNever, "true", "false", forever))
		first, second := ended.Status.InitContainerStatuses[0], ended.Status.InitContainerStatuses[1]
		if ended.Status.Phase != corev1.PodFailed || first.State.Terminated == nil || first.State.Terminated.ExitCode != 0 ||
			second.State.Terminated == nil || second.State.Terminated.ExitCode == 0 || second.Ready {
			t.Errorf("the pod is %s, its init containers\n%+v\n%+v", ended.Status.Phase, first, second)
		}
		wantHeldBack(t, ended, "containers with incomplete status: [init2]")
	})
}

// TestConformanceBackOffs moves the clock of a system of its own: on the shared one it
// would end the tokens and deadlines of others.
func TestConformanceBackOffs(t *testing.T) {
	t.Parallel()
	own := started(t, "--test-clock")
	s := &stage{system: own, ns: own.namespace(t), client: own.client(t)}
	// again lets a pod that waits for its back-off be restarted until it has been so often.
	// The other pod's turn of the clock may come in between.
	again := func(t *testing.T, pod *corev1.Pod, times int32, of func(*corev1.Pod) corev1.ContainerStatus) *corev1.Pod {
		t.Helper()
		last := int32(0)
		counts := func(p *corev1.Pod) int32 {
			n := of(p).RestartCount
			if n < last {
				t.Errorf("restarted %d times after %d", n, last)
			}
			last = n
			return n
		}
		for {
			pod = s.await(t, pod, "to be restarted", func(p *corev1.Pod) bool {
				waiting := of(p).State.Waiting
				return counts(p) >= times || (waiting != nil && waiting.Reason == "CrashLoopBackOff")
			})
			before := last
			if before >= times {
				return pod
			}
			s.advance(t, 301*time.Second)
			pod = s.await(t, pod, "to leave its back-off", func(p *corev1.Pod) bool { return counts(p) > before })
		}
	}
	s.conforms(t, "[sig-node] Probing container should have monotonically increasing restart count", func(t *testing.T) {
		pod := probed(s.name("pod"), forever)
		pod.Spec.Containers[0].LivenessProbe = everySecond(httpProbe("/healthz"))
		again(t, s.create(t, pod), 5, func(p *corev1.Pod) (c corev1.ContainerStatus) {
			if len(p.Status.ContainerStatuses) > 0 {
				c = p.Status.ContainerStatuses[0]
			}
			return c
		})
	})
	s.conforms(t, "[sig-node] InitContainer should not start app containers if init containers fail on a RestartAlways pod", func(t *testing.T) {
		pod := s.create(t, initialized(s.name("pod"), corev1.RestartPolicyAlways, "false", "true", forever))
		first := func(p *corev1.Pod) (c corev1.ContainerStatus) {
			if len(p.Status.InitContainerStatuses) > 0 {
				c = p.Status.InitContainerStatuses[0]
			}
			return c
		}
		pod = again(t, pod, 3, first)
		if last := first(pod); last.LastTerminationState.Terminated == nil || last.LastTerminationState.Terminated.ExitCode != 1 {
			t.Errorf("init1: %+v", last)
		}
		if second := pod.Status.InitContainerStatuses[1]; second.State.Waiting == nil || second.State.Waiting.Reason != "PodInitializing" || second.RestartCount != 0 {
			t.Errorf("init2: %+v", second)
		}
		if pod.Status.Phase != corev1.PodPending {
			t.Errorf("the pod is %s", pod.Status.Phase)
		}
		wantHeldBack(t, pod, "containers with incomplete status: [init1 init2]")
	})
}
