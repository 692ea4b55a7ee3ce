package apiserver_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBoot(t *testing.T) {
	s := boot(t, t.TempDir())
	t.Log("ready after", s.took)
	c := s.admin()
	_, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.CoreV1().ConfigMaps("n").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	must(t, err)
	got, err := c.CoreV1().ConfigMaps("n").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	if len(got.Items) != 1 || got.Items[0].Data["a"] != "b" {
		t.Errorf("got %v", got.Items)
	}
}
