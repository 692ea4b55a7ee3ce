package compat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// space creates a namespace that goes with the test.
func (s *stage) space(t testing.TB, prefix string) *corev1.Namespace {
	t.Helper()
	n, err := s.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// withoutSpace waits until a namespace is gone.
func (s *stage) withoutSpace(t testing.TB, name string) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		n, err := s.client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("namespace %s is there: %+v, %v", name, n.Status, err)
	})
}

// accounted waits until pods can be made in a namespace.
func (s *stage) accounted(t testing.TB, namespace string) {
	t.Helper()
	eventually(t, stepTimeout, func() error {
		_, err := s.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

func TestConformanceNamespaces(t *testing.T) {
	s := newStage(t)
	spaces := s.client.CoreV1().Namespaces()
	remove := func(t *testing.T, name string) {
		if err := spaces.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.conforms(t, "[sig-api-machinery] Namespaces should patch a Namespace", func(t *testing.T) {
		n := s.space(t, "patched")
		got, err := spaces.Patch(t.Context(), n.Name, types.StrategicMergePatchType, []byte(`{"metadata":{"labels":{"testLabel":"testValue"}}}`), metav1.PatchOptions{})
		if err != nil || got.Labels["testLabel"] != "testValue" {
			t.Errorf("%v, %v", got.Labels, err)
		}
		if got, err = spaces.Get(t.Context(), n.Name, metav1.GetOptions{}); err != nil || got.Labels["testLabel"] != "testValue" || got.Labels[corev1.LabelMetadataName] != n.Name {
			t.Errorf("%v, %v", got.Labels, err)
		}
		remove(t, n.Name)
	})
	s.conforms(t, "[sig-api-machinery] Namespaces should apply an update to a Namespace", func(t *testing.T) {
		n := s.space(t, "updated")
		if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			got, err := spaces.Get(t.Context(), n.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			got.Labels["updated"] = "yes"
			n, err = spaces.Update(t.Context(), got, metav1.UpdateOptions{})
			return err
		}); err != nil || n.Labels["updated"] != "yes" {
			t.Errorf("%v, %v", n.Labels, err)
		}
		remove(t, n.Name)
	})
	s.conforms(t, "[sig-api-machinery] Namespaces should apply changes to a namespace status", func(t *testing.T) {
		n := s.space(t, "status")
		n, err := spaces.Patch(t.Context(), n.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"conditions":[{"type":"StatusPatch","status":"True","reason":"E2E","message":"Patched by the test"}]}}`), metav1.PatchOptions{}, "status")
		if err != nil || n.Annotations["patchedstatus"] != "true" || len(n.Status.Conditions) != 1 || n.Status.Conditions[0].Message != "Patched by the test" {
			t.Fatalf("%+v, %v", n, err)
		}
		n.Status.Conditions = append(n.Status.Conditions, corev1.NamespaceCondition{Type: "StatusUpdate", Status: "True", Reason: "E2E", Message: "Updated by the test"})
		if n, err = spaces.UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil || len(n.Status.Conditions) != 2 || n.Status.Phase != corev1.NamespaceActive {
			t.Errorf("%+v, %v", n.Status, err)
		}
		remove(t, n.Name)
	})
	s.conforms(t, "[sig-api-machinery] Namespaces should apply a finalizer to a Namespace", func(t *testing.T) {
		n := s.space(t, "finalized")
		set := func(change func(*corev1.Namespace)) {
			if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				got, err := spaces.Get(t.Context(), n.Name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				change(got)
				n, err = spaces.Finalize(t.Context(), got, metav1.UpdateOptions{})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		set(func(n *corev1.Namespace) {
			n.Spec.Finalizers = append(n.Spec.Finalizers, "e2e.example.com/fakeFinalizer")
		})
		if !slices.Contains(n.Spec.Finalizers, "e2e.example.com/fakeFinalizer") || !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes) {
			t.Errorf("finalizers %v", n.Spec.Finalizers)
		}
		set(func(n *corev1.Namespace) { n.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes} })
		remove(t, n.Name)
		s.withoutSpace(t, n.Name)
	})
	s.conforms(t, "[sig-api-machinery] Namespaces should ensure that all pods are removed when a namespace is deleted", func(t *testing.T) {
		n := s.space(t, "pods")
		s.accounted(t, n.Name)
		in := &stage{system: s.system, ns: n.Name, client: s.client}
		in.runs(t, shell("test-pod", forever))
		remove(t, n.Name)
		s.withoutSpace(t, n.Name)
		if _, err := s.client.CoreV1().Pods(n.Name).Get(t.Context(), "test-pod", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the pod: %v", err)
		}
	})
	s.conforms(t, "[sig-api-machinery] Namespaces should ensure that all services are removed when a namespace is deleted", func(t *testing.T) {
		n := s.space(t, "services")
		services := s.client.CoreV1().Services(n.Name)
		if _, err := services.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "test-service"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"foo": "bar"}, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		remove(t, n.Name)
		s.withoutSpace(t, n.Name)
		if _, err := services.Get(t.Context(), "test-service", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the service: %v", err)
		}
	})
	s.conforms(t, "[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first", s.podsGoFirst)
	s.conforms(t, "[sig-api-machinery] Garbage collector should not be blocked by dependency circle", s.circlesEnd)
}

// podsGoFirst has a pod and a ConfigMap that finalizers hold.
func (s *stage) podsGoFirst(t *testing.T) {
	n := s.space(t, "ordered")
	s.accounted(t, n.Name)
	pods, maps := s.client.CoreV1().Pods(n.Name), s.client.CoreV1().ConfigMaps(n.Name)
	pod := shell("test-pod", forever)
	pod.Finalizers = []string{"example.com/hold"}
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "test-map", Finalizers: []string{"example.com/hold"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.CoreV1().Namespaces().Delete(t.Context(), n.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error {
		p, err := pods.Get(t.Context(), "test-pod", metav1.GetOptions{})
		if err != nil || p.DeletionTimestamp == nil {
			return fmt.Errorf("the pod: %+v, %v", p.ObjectMeta, err)
		}
		now, err := s.client.CoreV1().Namespaces().Get(t.Context(), n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == corev1.NamespaceContentRemaining && c.Status == corev1.ConditionTrue && c.Reason == "SomeResourcesRemain" && strings.Contains(c.Message, "pods.") {
				return nil
			}
		}
		return fmt.Errorf("conditions %+v", now.Status.Conditions)
	})
	if c, err := maps.Get(t.Context(), "test-map", metav1.GetOptions{}); err != nil || c.DeletionTimestamp != nil {
		t.Errorf("the ConfigMap while the pod is there: %+v, %v", c.ObjectMeta, err)
	}
	free := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := pods.Patch(t.Context(), "test-pod", types.MergePatchType, free, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error {
		c, err := maps.Get(t.Context(), "test-map", metav1.GetOptions{})
		if err == nil && c.DeletionTimestamp == nil {
			err = errors.New("the ConfigMap is not deleted")
		}
		return err
	})
	if _, err := maps.Patch(t.Context(), "test-map", types.MergePatchType, free, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.withoutSpace(t, n.Name)
}

// circlesEnd has three pods that own each other in a circle.
func (s *stage) circlesEnd(t *testing.T) {
	pods := s.client.CoreV1().Pods(s.ns)
	var made []*corev1.Pod
	for _, name := range []string{"circle-1", "circle-2", "circle-3"} {
		made = append(made, s.create(t, shell(name, forever)))
	}
	for i, p := range made {
		owner := made[(i+2)%3]
		patch := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":%q,"uid":%q,"controller":true,"blockOwnerDeletion":true}]}}`, owner.Name, owner.UID)
		if _, err := pods.Patch(t.Context(), p.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	foreground := metav1.DeletePropagationForeground
	if err := pods.Delete(t.Context(), made[0].Name, metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: metav1.NewUIDPreconditions(string(made[0].UID))}); err != nil {
		t.Fatal(err)
	}
	eventually(t, stepTimeout, func() error {
		for _, p := range made {
			if _, err := pods.Get(t.Context(), p.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %v", p.Name, err)
			}
		}
		return nil
	})
}
