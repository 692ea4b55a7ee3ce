package compat

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// preemptedSets fills a resource of the node with three sets of rising priority, and has a
// fourth preempt: those that must go go, their sets make pods anew, which wait, and nobody
// else is disturbed.
func (s *stage) preemptedSets(t *testing.T) {
	const offer = "example.com/fakecpu"
	node := s.node(t).Name
	s.offers(t, node, offer, 1000)
	set := func(name string, priority int32, amount int64) string {
		t.Helper()
		class := s.name("preemption-" + name)
		s.priorityClass(t, class, priority)
		pod := wants("", class, node, offer, amount)
		pod.Labels = map[string]string{"app": class}
		pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
		one := int32(1)
		_, err := s.client.AppsV1().ReplicaSets(s.ns).Create(t.Context(), &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Name: class},
			Spec: appsv1.ReplicaSetSpec{Replicas: &one, Selector: selects(class),
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}},
		}, metav1.CreateOptions{})
		s.must(t, err)
		return class
	}
	made := func(class string) int {
		t.Helper()
		events, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=SuccessfulCreate,involvedObject.name=" + class})
		s.must(t, err)
		return len(events.Items)
	}
	first, second, third := set("p1", 11, 200), set("p2", 12, 300), set("p3", 13, 450)
	for _, class := range []string{first, second, third} {
		s.readyPods(t, class, 1)
	}
	fourth := set("p4", 14, 500)
	s.readyPods(t, fourth, 1)
	eventually(t, stepTimeout, func() error {
		if a, b := made(first), made(second); a != 2 || b != 2 {
			return fmt.Errorf("%d and %d pods were made for the sets that had to make way", a, b)
		}
		return nil
	})
	time.Sleep(2 * time.Second) // nothing goes on from here
	for class, want := range map[string]int{first: 2, second: 2, third: 1, fourth: 1} {
		if got := made(class); got != want {
			t.Errorf("%d pods were made for %s, want %d", got, class, want)
		}
	}
	for _, class := range []string{first, second} {
		if pods := s.podsOf(t, class); len(pods) != 1 || pods[0].Spec.NodeName != "" {
			t.Errorf("the pods of %s: %+v", class, pods)
		}
	}
	for _, class := range []string{first, second, third, fourth} {
		s.kubectl(t, "scale rs "+class+" --replicas=0")
	}
}
