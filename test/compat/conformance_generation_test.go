package compat

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestConformanceGenerations(t *testing.T) {
	s := newStage(t)
	pods := s.client.CoreV1().Pods(s.ns)
	s.conforms(t, "[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update", func(t *testing.T) {
		pod := labelled(s.name("pod"), "generation", "counted")
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "busybox:1.28", Command: []string{"true"}}}
		pod = s.runs(t, pod)
		want := int64(1)
		for _, step := range []struct {
			name   string
			change func(*corev1.Pod)
			counts int64
		}{
			{"created", func(*corev1.Pod) {}, 0},
			{"a toleration", func(p *corev1.Pod) {
				p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "a.example", Value: "b", Effect: corev1.TaintEffectNoSchedule})
			}, 1},
			{"a deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(5000)) }, 1},
			{"an image", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "busybox" }, 1},
			{"an init container's image", func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = "busybox" }, 1},
			{"an annotation", func(p *corev1.Pod) { p.Annotations = map[string]string{"key": "value"} }, 0},
			{"the generation", func(p *corev1.Pod) { p.Generation = 1 }, 0},
		} {
			s.change(t, pod, step.change)
			want += step.counts
			if got, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || got.Generation != want {
				t.Errorf("%s: generation %d, want %d, %v", step.name, got.Generation, want, err)
			}
		}
	})

	s.conforms(t, "[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete", func(t *testing.T) {
		pod := shell(s.name("pod"), forever) // it does not hear SIGTERM, so that it can be looked at
		pod.Generation = 100
		if pod = s.runs(t, pod); pod.Generation != 1 {
			t.Errorf("created with generation %d", pod.Generation)
		}
		if err := pods.Delete(t.Context(), pod.Name, *metav1.NewDeleteOptions(60)); err != nil {
			t.Fatal(err)
		}
		if got, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || got.Generation != 2 || got.DeletionTimestamp == nil {
			t.Errorf("after the deletion: generation %d, deleted at %v, %v", got.Generation, got.DeletionTimestamp, err)
		}
	})

	s.conforms(t, "[sig-node] Pods Extended (pod generation) Pod Generation issue 500 podspec updates and verify generation and observedGeneration eventually converge", func(t *testing.T) {
		pod := s.runs(t, shell(s.name("pod"), forever))
		const updates = 500
		for i := range int64(updates) {
			patch := fmt.Appendf(nil, `{"spec":{"activeDeadlineSeconds":%d}}`, 5000-i)
			var err error
			if pod, err = pods.Patch(t.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		s.await(t, pod, "to be observed", func(p *corev1.Pod) bool {
			return p.Generation == updates+1 && p.Status.ObservedGeneration == updates+1
		})
	})
}
