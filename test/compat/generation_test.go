package compat

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestEveryChangeOfASpecIsObserved follows the generation of a pod through all that
// changes it and much that does not (KEP-5067): the status and each condition tell which
// one they are of.
func TestEveryChangeOfASpecIsObserved(t *testing.T) {
	s := newStage(t)
	pod := resizablePod("generations", resizable{cpu: "10m"})
	pod.Generation = 99
	pod.Finalizers = []string{"example.com/keep"}
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	pods := s.client.CoreV1().Pods(s.ns)
	made := s.create(t, pod)
	if c := made.Status.Conditions; made.Generation != 1 || len(c) != 1 || c[0].ObservedGeneration != 1 {
		t.Errorf("a new pod has the generation %d and the conditions %+v", made.Generation, c)
	}
	observed := func(want int64) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			for _, c := range p.Status.Conditions {
				if c.ObservedGeneration != want {
					return false
				}
			}
			return p.Generation == want && p.Status.ObservedGeneration == want && isRunning(p)
		}
	}
	merge, strategic := types.MergePatchType, types.StrategicMergePatchType
	for _, step := range []struct {
		what        string
		patch       types.PatchType
		with        string
		subresource []string
		want        int64
	}{
		{"the gate is removed, and the pod is bound", merge, `{"spec":{"schedulingGates":null}}`, nil, 2},
		{"a label", merge, `{"metadata":{"labels":{"a":"b"}}}`, nil, 2},
		{"a condition of somebody else", strategic, `{"status":{"conditions":[{"type":"example.com/mine","status":"True","observedGeneration":2}]}}`, []string{"status"}, 2},
		{"a generation of the client's", merge, `{"metadata":{"generation":50,"labels":{"a":"c"}}}`, nil, 2},
		{"a condition is removed", strategic, `{"status":{"conditions":[{"$patch":"delete","type":"example.com/mine"}]}}`, []string{"status"}, 2},
		{"a toleration", strategic, `{"spec":{"tolerations":[{"key":"a","operator":"Exists"}]}}`, nil, 3},
		{"a deadline", merge, `{"spec":{"activeDeadlineSeconds":3600}}`, nil, 4},
		{"a resize", strategic, string(resizePatch(resizable{cpu: "20m"})), []string{"resize"}, 5},
		{"the same resize", strategic, string(resizePatch(resizable{cpu: "20m"})), []string{"resize"}, 5},
		{"an ephemeral container", strategic, `{"spec":{"ephemeralContainers":[{"name":"e","image":"busybox:1.28","command":["true"]}]}}`, []string{"ephemeralcontainers"}, 6},
		{"an image", strategic, `{"spec":{"containers":[{"name":"c1","image":"busybox:latest"}]}}`, nil, 7},
	} {
		now, err := pods.Patch(t.Context(), pod.Name, step.patch, []byte(step.with), metav1.PatchOptions{}, step.subresource...)
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if now.Generation != step.want {
			t.Errorf("%s: generation %d, want %d", step.what, now.Generation, step.want)
		}
		s.await(t, now, fmt.Sprintf("to have observed %s", step.what), observed(step.want))
	}
	if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if now, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || now.Generation != 8 {
		t.Errorf("generation %d, %v of a pod that is deleted, want 8", now.Generation, err)
	}
	if _, err := pods.Patch(t.Context(), pod.Name, merge, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestARefusedPodSaysOfWhichGeneration it was.
func TestARefusedPodSaysOfWhichGeneration(t *testing.T) {
	s := newStage(t)
	nodes, err := s.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := resizablePod("refused", resizable{cpu: "1k"})
	pod.Spec.NodeName = nodes.Items[0].Name
	got := s.await(t, s.create(t, pod), "to be refused", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if got.Status.Reason != "OutOfcpu" || got.Status.ObservedGeneration != 1 || got.Generation != 1 {
		t.Errorf("the pod: generation %d, status %+v", got.Generation, got.Status)
	}
}
