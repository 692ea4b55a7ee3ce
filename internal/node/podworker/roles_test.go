package podworker

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// rolesPod has an init container, two sidecars and a main container whose exit code 42
// restarts all.
func rolesPod() *corev1.Pod {
	pod := newPod(corev1.RestartPolicyNever)
	always, never := corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	for _, name := range []string{"i", "s", "t"} {
		c := corev1.Container{Name: name, Image: "i", ImagePullPolicy: corev1.PullIfNotPresent}
		if name != "i" {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	pod.Spec.Containers[0].RestartPolicy = &never
	pod.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{
		Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}},
	}}
	return pod
}

// only are those of the actions that begin with one of words.
func only(did []string, words ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(did), func(s string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(s, w+" ") })
	}), ", ")
}

// comesUp lets a worker's pod come up, attempt being the number of its containers.
func comesUp(t *testing.T, m *machine, w *Worker, attempt string) {
	t.Helper()
	eventually(t, "the init container runs", func() bool { return slices.Contains(m.done(), "start i"+attempt) })
	if did := only(m.done(), "start"); !strings.HasSuffix(did, "start i"+attempt) {
		t.Errorf("another is started beside the init container: %s", did)
	}
	m.note(func() { m.ends("i"+attempt, cri.ContainerExited, 0) }, "end i%s", attempt)
	w.Kick()
	eventually(t, "the main container runs", func() bool { return slices.Contains(m.done(), "start c"+attempt) })
	eventually(t, "the pod runs", runs(w))
}

func TestSidecarsStartBeforeAndEndAfterTheOthers(t *testing.T) {
	m, pod := newMachine(t), rolesPod()
	w := New(m.deps(), pod, Origin{Seen: "now"})
	begin(t, w)
	comesUp(t, m, w, "0")
	if got := only(m.done(), "start"); got != "start i0, start s0, start t0, start c0" {
		t.Errorf("in this order: %s", got)
	}
	w.Update(deleted(pod))
	eventually(t, "the pod is removed", func() bool { return slices.Contains(m.done(), "delete pod u") })
	if got := only(m.done(), "stop"); got != "stop c0, stop t0, stop s0, stop sandbox" {
		t.Errorf("ended in this order: %s", got)
	}
}

func TestSidecarsEndWithTheMainContainers(t *testing.T) {
	m, pod := newMachine(t), rolesPod()
	w := New(m.deps(), pod, Origin{Seen: "now"})
	begin(t, w)
	comesUp(t, m, w, "0")
	m.note(func() { m.ends("c0", cri.ContainerExited, 0) }, "end c0")
	w.Kick()
	eventually(t, "the pod has succeeded", func() bool { return slices.Contains(m.done(), "report Succeeded") })
	did := m.done()
	if got := only(did, "stop"); !strings.HasPrefix(got, "stop t0, stop s0") || slices.Index(did, "stop s0") > slices.Index(did, "report Succeeded") {
		t.Errorf("in this order: %q", did)
	}
}

func TestOneContainerRestartsAll(t *testing.T) {
	m, pod := newMachine(t), rolesPod()
	w := New(m.deps(), pod, Origin{Seen: "now"})
	begin(t, w)
	comesUp(t, m, w, "0")
	m.note(func() { m.ends("c0", cri.ContainerExited, 42) }, "end c0")
	w.Kick()
	comesUp(t, m, w, "1")
	if got := only(m.done(), "stop", "remove"); got != "remove i0, stop s0, remove s0, stop t0, remove t0, remove c0" {
		t.Errorf("removed: %s", got)
	}
	if got := only(m.done(), "run"); got != "run sandbox" {
		t.Errorf("sandboxes: %s", got)
	}
	s := w.Snapshot().Status
	for _, c := range append(slices.Clone(s.InitContainerStatuses), s.ContainerStatuses...) {
		if last := c.LastTerminationState.Terminated; c.RestartCount != 1 || last == nil || last.Reason != "RestartingAllContainers" {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
}

// TestEphemeralContainerHoldsOnlyItselfUp has one with a field that is not honoured
// added to a pod whose main container then has to be started again.
func TestEphemeralContainerHoldsOnlyItselfUp(t *testing.T) {
	m, pod := newMachine(t), newPod(corev1.RestartPolicyAlways)
	w := New(m.deps(), pod, Origin{Seen: "now"})
	begin(t, w)
	eventually(t, "the pod runs", runs(w))
	pod = pod.DeepCopy()
	common := corev1.EphemeralContainerCommon{Name: "bad", Image: "i", ImagePullPolicy: corev1.PullIfNotPresent}
	good := common
	good.Name = "good"
	common.VolumeDevices = []corev1.VolumeDevice{{Name: "v", DevicePath: "/d"}}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: common}, {EphemeralContainerCommon: good}}
	w.Update(pod)
	eventually(t, "the other ephemeral container runs", func() bool { return slices.Contains(m.done(), "start good0") })
	m.note(func() { m.ends("c0", cri.ContainerExited, 1) }, "end c0")
	w.Kick()
	eventually(t, "the main container runs again", func() bool { return slices.Contains(m.done(), "start c1") })
	if got := only(m.done(), "create"); strings.Contains(got, "bad") {
		t.Errorf("made: %s", got)
	}
	eventually(t, "the status says why", func() bool {
		for _, c := range w.Snapshot().Status.EphemeralContainerStatuses {
			if c.Name == "bad" && c.State.Waiting != nil && strings.Contains(c.State.Waiting.Message, "spec.ephemeralContainers[0].volumeDevices") {
				return true
			}
		}
		return false
	})
}
