package compat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// What upstream's end-to-end tests of nodes ask for beyond the conformance behaviours, and
// no other test here does.

// history checks what is told of a pod of one main container, which fails, from its
// creation to its deletion.
type history struct {
	// exits are the exit codes that the container may end with.
	exits []int32
	// restarts says that the container may be started again.
	restarts bool

	told, ended, final bool
	last               *corev1.Pod
}

// next checks how the pod is now against how it was.
func (h *history) next(p *corev1.Pod) error {
	h.last = p
	if final := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded; h.final && !final {
		return fmt.Errorf("%s after it had ended", p.Status.Phase)
	} else {
		h.final = final
	}
	statuses := p.Status.ContainerStatuses
	if len(statuses) != 1 {
		if h.told {
			return fmt.Errorf("%d statuses of one container", len(statuses))
		}
		return nil
	}
	h.told = true
	c := statuses[0]
	if len(p.Spec.InitContainers) > 0 {
		if c.State.Waiting == nil || c.LastTerminationState.Terminated != nil || (c.Started != nil && *c.Started) {
			return fmt.Errorf("the container behind a failing init container: %+v", c)
		}
		if len(p.Status.InitContainerStatuses) != 1 {
			return fmt.Errorf("%d statuses of one init container", len(p.Status.InitContainerStatuses))
		}
		c = p.Status.InitContainerStatuses[0]
	}
	end := c.State.Terminated
	if h.ended && end == nil {
		return fmt.Errorf("it had ended, and now: %+v", c)
	}
	if end == nil {
		return nil
	}
	if h.restarts && p.DeletionTimestamp == nil {
		return fmt.Errorf("ended before the pod is deleted: %+v", end)
	}
	h.ended = true
	ok := false
	for _, code := range h.exits {
		ok = ok || end.ExitCode == code
	}
	if !ok || end.StartedAt.IsZero() || end.FinishedAt.Sub(end.StartedAt.Time) > time.Hour {
		return fmt.Errorf("ended so: %+v", end)
	}
	return nil
}

// follow watches a pod to its deletion, which somebody else asks for.
func (s *stage) follow(ctx context.Context, pod *corev1.Pod, h *history) error {
	w, err := s.client.CoreV1().Pods(s.ns).Watch(ctx, metav1.ListOptions{ResourceVersion: pod.ResourceVersion, FieldSelector: "metadata.name=" + pod.Name})
	if err != nil {
		return err
	}
	defer w.Stop()
	h.last = pod
	for event := range w.ResultChan() {
		p, ok := event.Object.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("watching: %s %v", event.Type, event.Object)
		}
		if event.Type != watch.Deleted {
			if err := h.next(p); err != nil {
				return err
			}
			continue
		}
		for _, c := range h.last.Status.ContainerStatuses {
			if c.State.Running != nil {
				return fmt.Errorf("gone while told of as running: %+v", h.last.Status)
			}
		}
		if !h.final && h.last.Status.Phase != corev1.PodPending {
			return fmt.Errorf("gone as %s", h.last.Status.Phase)
		}
		return nil
	}
	return errors.Join(errors.New("not deleted"), ctx.Err())
}

// TestNodeConformanceFastDeletion deletes pods at all moments of their lives: nothing
// false may be told of them.
func TestNodeConformanceFastDeletion(t *testing.T) {
	s := newStage(t)
	fails := func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"false"} }
	running := func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending }
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		when   func(*corev1.Pod) bool // nil: at a moment of the first second
		exits  []int32
		again  bool
	}{
		"should never report success for a pending container": {change: fails, when: running, exits: []int32{1, 137}},
		"should never report container start when an init container fails": {when: running, exits: []int32{1, 137}, change: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "fails", Image: "busybox:1.28", Command: []string{"false"}}}
		}},
		"should report StartError for pod removal": {change: fails, exits: []int32{1, 137, 128}},
		"should not return an error when any health probe fails": {exits: []int32{137}, again: true, when: func(p *corev1.Pod) bool { return timesRestarted(p) > 0 }, change: func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyAlways
			probe := everySecond(execProbe("false"))
			probe.TerminationGracePeriodSeconds = new(int64(1))
			p.Spec.Containers[0].StartupProbe, p.Spec.Containers[0].Command = probe, []string{"sleep", "1800"}
		}},
	} {
		s.conforms(t, name, func(t *testing.T) {
			for range 4 {
				pod := shell(s.name("pod"), "")
				pod.Spec.TerminationGracePeriodSeconds = new(int64(1))
				tc.change(pod)
				made := s.create(t, pod)
				ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
				defer cancel()
				told := make(chan error, 1)
				go func() { told <- s.follow(ctx, made, &history{exits: tc.exits, restarts: tc.again}) }()
				if tc.when != nil {
					s.await(t, made, "to be deleted", tc.when)
				} else {
					time.Sleep(rand.N(time.Second))
				}
				if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				if err := <-told; err != nil {
					t.Errorf("pod %s: %v", pod.Name, err)
				}
			}
		})
	}
}

func TestNodeConformancePods(t *testing.T) {
	s := newStage(t)
	pods := s.client.CoreV1().Pods(s.ns)
	s.conforms(t, "should support pod readiness gates", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "a.example/one"}, {ConditionType: "a.example/two"}}
		pod = s.runs(t, pod)
		ready := func(p *corev1.Pod) bool { return condition(p, corev1.PodReady).Status == corev1.ConditionTrue }
		patch := func(kind, status string) *corev1.Pod {
			body := fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"status":%q}]}}`, kind, status)
			now, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		patch("a.example/one", "True")
		s.stays(t, pod, time.Second, ready)
		s.await(t, patch("a.example/two", "True"), "to be ready", ready)
		s.await(t, patch("a.example/one", "False"), "not to be ready", func(p *corev1.Pod) bool { return !ready(p) })
	})
	s.conforms(t, "pod with negative grace period", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		pod.Spec.TerminationGracePeriodSeconds = new(int64(-1))
		made := s.create(t, pod)
		now := s.change(t, made, func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = new(int64(-1)) })
		if *made.Spec.TerminationGracePeriodSeconds != 1 || *now.Spec.TerminationGracePeriodSeconds != 1 {
			t.Errorf("%ds, and after the update %ds", *made.Spec.TerminationGracePeriodSeconds, *now.Spec.TerminationGracePeriodSeconds)
		}
	})
	s.conforms(t, "should not create extra sandbox if all containers are done", func(t *testing.T) {
		pod := initialized(s.name("pod"), corev1.RestartPolicyOnFailure, "true", "true", "true")
		s.ended(t, pod)
		time.Sleep(time.Second)
		list, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name + ",source=kubelet"})
		if err != nil || len(list.Items) == 0 {
			t.Fatalf("%d Events of the node, %v", len(list.Items), err)
		}
		for _, e := range list.Items {
			if e.Reason == "SandboxChanged" {
				t.Errorf("Event %s: %s", e.Reason, e.Message)
			}
		}
	})
	s.conforms(t, "should have their auto-restart back-off timer reset on image update", func(t *testing.T) {
		pod := probed(s.name("pod"), "exit 1")
		waits := func(n int32) func(*corev1.Pod) bool {
			return func(p *corev1.Pod) bool {
				return timesRestarted(p) == n && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
			}
		}
		made := s.await(t, s.create(t, pod), "to wait for its back-off", waits(1))
		began := time.Now()
		now := s.change(t, made, func(p *corev1.Pod) { p.Spec.Containers[0].Image = "busybox" })
		s.await(t, now, "to be restarted and wait again", waits(2))
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("restarted %s after its image was changed", took)
		}
	})
	s.conforms(t, "should be submitted and removed within its grace period", func(t *testing.T) {
		pod := s.runs(t, labelled(s.name("pod"), "graced", "30"))
		began, last := time.Now(), corev1.Pod{}
		err := s.client.CoreV1().RESTClient().Delete().Namespace(s.ns).Resource("pods").Name(pod.Name).Param("gracePeriodSeconds", "30").Do(t.Context()).Into(&last)
		if err != nil || last.DeletionTimestamp == nil || *last.Spec.TerminationGracePeriodSeconds == 0 {
			t.Errorf("answered deleted at %v with %v, %v", last.DeletionTimestamp, last.Spec.TerminationGracePeriodSeconds, err)
		}
		s.sh(t, "kubectl wait -n "+s.ns+" pod/"+pod.Name+" --for=delete --timeout=30s")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("gone after %s, and it ends at SIGTERM", took)
		}
	})
	s.conforms(t, "evicted pods should be terminal", func(t *testing.T) {
		pod := probed(s.name("pod"), "dd if=/dev/zero of=/v/file bs=1M count=3; "+forever)
		mount(pod, "/v", emptyDir(corev1.StorageMediumDefault))
		limit := resource.MustParse("2Mi")
		pod.Spec.Volumes[0].EmptyDir.SizeLimit = &limit
		made := s.await(t, s.create(t, pod), "to be evicted", func(p *corev1.Pod) bool { return p.Status.Reason == "Evicted" })
		if made.Status.Phase != corev1.PodFailed {
			t.Errorf("evicted as %s", made.Status.Phase)
		}
		s.stays(t, made, 2*time.Second, func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodFailed })
	})
}
