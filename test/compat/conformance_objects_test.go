package compat

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// daemonStatus writes conditions, which no controller has anything to do with.
func (s *stage) daemonStatus(t *testing.T) {
	sets := s.client.AppsV1().DaemonSets(s.ns)
	s.daemonSet(t, "status")
	s.daemonsOn(t, "status", oldImage, "n0", "n1", "n2")
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		set, err := sets.Get(t.Context(), "status", metav1.GetOptions{})
		if err != nil {
			return err
		}
		set.Status.Conditions = append(set.Status.Conditions, appsv1.DaemonSetCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "Set from e2e test"})
		set.Spec.MinReadySeconds = 99
		_, err = sets.UpdateStatus(t.Context(), set, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	has := func(condition string) func(appsv1.DaemonSetCondition) bool {
		return func(c appsv1.DaemonSetCondition) bool { return string(c.Type) == condition }
	}
	check := func(condition string) {
		t.Helper()
		set, err := sets.Get(t.Context(), "status", metav1.GetOptions{})
		if err != nil || !slices.ContainsFunc(set.Status.Conditions, has(condition)) || set.Spec.MinReadySeconds != 0 {
			t.Errorf("no %s: %+v, %v", condition, set, err)
		}
	}
	check("StatusUpdate")
	patch := []byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True"}]}}`)
	if _, err := sets.Patch(t.Context(), "status", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	check("StatusPatched")
}

// ordinary is a set that agents run.
func (s *stage) ordinary(t testing.TB, name string, replicas int32, labels ...string) {
	t.Helper()
	s.statefulSet(t, name, replicas, func(set *appsv1.StatefulSet) {
		for _, l := range labels {
			set.Labels[l] = "yes"
		}
	})
	s.have(t, name, replicas, replicas)
}

func (s *stage) scaleOfSets(t *testing.T) {
	sets := s.client.AppsV1().StatefulSets(s.ns)
	s.ordinary(t, "scaled", 1)
	scale, err := sets.GetScale(t.Context(), "scaled", metav1.GetOptions{})
	if err != nil || scale.Spec.Replicas != 1 || scale.Status.Replicas != 1 || scale.Status.Selector != "set=scaled" {
		t.Fatalf("%+v, %v", scale, err)
	}
	scale.ResourceVersion, scale.Spec.Replicas = "", 2
	if got, err := sets.UpdateScale(t.Context(), "scaled", scale, metav1.UpdateOptions{}); err != nil || got.Spec.Replicas != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if set := s.have(t, "scaled", 2, 2); *set.Spec.Replicas != 2 {
		t.Errorf("replicas %d", *set.Spec.Replicas)
	}
	if _, err := sets.Patch(t.Context(), "scaled", types.StrategicMergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale"); err != nil {
		t.Fatal(err)
	}
	if set := s.have(t, "scaled", 4, 4); *set.Spec.Replicas != 4 {
		t.Errorf("replicas %d", *set.Spec.Replicas)
	}
	contains(t, s.sh(t, "kubectl scale statefulset scaled --replicas 1"), "statefulset.apps/scaled scaled")
	s.have(t, "scaled", 1, 1)
	contains(t, s.sh(t, "kubectl get sts scaled"), "1/1")
	contains(t, s.sh(t, "kubectl rollout restart statefulset/scaled"), "restarted")
	contains(t, s.sh(t, "kubectl rollout status statefulset/scaled --timeout 20s"), "partitioned roll out complete: 1 new pods have been updated...")
	contains(t, s.sh(t, "kubectl rollout undo statefulset/scaled"), "rolled back")
	s.sh(t, "kubectl rollout status statefulset/scaled --timeout 20s")
}

func (s *stage) setCollection(t *testing.T) {
	sets := s.client.AppsV1().StatefulSets(s.ns)
	s.ordinary(t, "listed", 1, "collect")
	patch := []byte(`{"metadata":{"labels":{"test-ss":"patched"}},"spec":{"replicas":2,"template":{"spec":{"terminationGracePeriodSeconds":10,"containers":[{"name":"main","image":"busybox"}]}}}}`)
	if _, err := sets.Patch(t.Context(), "listed", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	set := s.have(t, "listed", 2, 2)
	if set.Labels["test-ss"] != "patched" || set.Spec.Template.Spec.Containers[0].Image != newImage || *set.Spec.Template.Spec.TerminationGracePeriodSeconds != 10 {
		t.Errorf("%+v", set)
	}
	selector := metav1.ListOptions{LabelSelector: "test-ss=patched"}
	if list, err := s.client.AppsV1().StatefulSets("").List(t.Context(), selector); err != nil || len(list.Items) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if err := sets.DeleteCollection(t.Context(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}, selector); err != nil {
		t.Fatal(err)
	}
	if list, err := s.client.AppsV1().StatefulSets("").List(t.Context(), selector); err != nil || len(list.Items) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func (s *stage) setStatus(t *testing.T) {
	sets := s.client.AppsV1().StatefulSets(s.ns)
	s.ordinary(t, "told", 1)
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		set, err := sets.Get(t.Context(), "told", metav1.GetOptions{})
		if err != nil {
			return err
		}
		set.Status.Conditions = append(set.Status.Conditions, appsv1.StatefulSetCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "Set from e2e test"})
		_, err = sets.UpdateStatus(t.Context(), set, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	has := func(condition string) {
		t.Helper()
		set, err := sets.Get(t.Context(), "told", metav1.GetOptions{})
		if err != nil || !slices.ContainsFunc(set.Status.Conditions, func(c appsv1.StatefulSetCondition) bool { return string(c.Type) == condition }) {
			t.Errorf("no %s: %+v, %v", condition, set, err)
		}
	}
	has("StatusUpdate")
	patch := []byte(`{"status":{"conditions":[{"type":"StatusPatched","status":"True"}]}}`)
	if _, err := sets.Patch(t.Context(), "told", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	has("StatusPatched")
}

// podTemplate creates a template.
func (s *stage) podTemplate(t testing.TB, name string, labels map[string]string) *corev1.PodTemplate {
	t.Helper()
	made, err := s.client.CoreV1().PodTemplates(s.ns).Create(t.Context(), &corev1.PodTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Template:   corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "nginx", Image: "nginx"}}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// templates is how many there are of a selector, anywhere.
func (s *stage) templates(t testing.TB, selector string) int {
	t.Helper()
	list, err := s.client.CoreV1().PodTemplates("").List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

func (s *stage) templateLife(t *testing.T) {
	client := s.client.CoreV1().PodTemplates(s.ns)
	s.podTemplate(t, "nginx-pod-template", map[string]string{"podtemplate-static": "true"})
	if n := s.templates(t, "podtemplate-static=true"); n != 1 {
		t.Errorf("%d templates", n)
	}
	if _, err := client.Patch(t.Context(), "nginx-pod-template", types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"podtemplate":"patched"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(t.Context(), "nginx-pod-template", metav1.GetOptions{}); err != nil || got.Labels["podtemplate"] != "patched" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := client.Delete(t.Context(), "nginx-pod-template", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := s.templates(t, "podtemplate-static=true"); n != 0 {
		t.Errorf("%d templates are left", n)
	}
}

func (s *stage) templateCollection(t *testing.T) {
	for i := range 3 {
		s.podTemplate(t, fmt.Sprint("test-podtemplate-", i+1), map[string]string{"podtemplate-set": "true"})
	}
	if n := s.templates(t, "podtemplate-set=true"); n != 3 {
		t.Errorf("%d templates", n)
	}
	if err := s.client.CoreV1().PodTemplates(s.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "podtemplate-set=true"}); err != nil {
		t.Fatal(err)
	}
	if n := s.templates(t, "podtemplate-set=true"); n != 0 {
		t.Errorf("%d templates are left", n)
	}
}

func (s *stage) templateReplaced(t *testing.T) {
	s.podTemplate(t, "replaced", nil)
	client := s.client.CoreV1().PodTemplates(s.ns)
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		got, err := client.Get(t.Context(), "replaced", metav1.GetOptions{})
		if err != nil {
			return err
		}
		got.Annotations = map[string]string{"updated": "true"}
		_, err = client.Update(t.Context(), got, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(t.Context(), "replaced", metav1.GetOptions{}); err != nil || got.Annotations["updated"] != "true" {
		t.Errorf("%+v, %v", got, err)
	}
}
