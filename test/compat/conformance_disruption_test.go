package compat

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// budget creates a disruption budget for the pods of a label.
func (s *stage) budget(t testing.TB, namespace, name string, least int32, more ...func(*policyv1.PodDisruptionBudget)) *policyv1.PodDisruptionBudget {
	t.Helper()
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"foo": name}},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(least)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"budget": name}}},
	}
	for _, f := range more {
		f(b)
	}
	made, err := s.client.PolicyV1().PodDisruptionBudgets(namespace).Create(t.Context(), b, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// counted waits until a budget's status is as wanted.
func (s *stage) counted(t testing.TB, name string, wanted func(*policyv1.PodDisruptionBudget) bool) (b *policyv1.PodDisruptionBudget) {
	t.Helper()
	eventually(t, stepTimeout, func() (err error) {
		b, err = s.client.PolicyV1().PodDisruptionBudgets(s.ns).Get(t.Context(), name, metav1.GetOptions{})
		if err == nil && (b.Status.ObservedGeneration != b.Generation || !wanted(b)) {
			err = fmt.Errorf("budget %s: %+v", name, b.Status)
		}
		return err
	})
	return b
}

// budgeted returns a pod that sleeps, of a budget.
func (s *stage) budgeted(budget string) *corev1.Pod {
	pod := shell(s.name("pod"), forever)
	pod.Labels = map[string]string{"budget": budget}
	return pod
}

func (s *stage) evict(t testing.TB, pod string) error {
	t.Helper()
	return s.client.PolicyV1().Evictions(s.ns).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: s.ns}})
}

func TestConformanceDisruption(t *testing.T) {
	s := newStage(t)
	budgets := s.client.PolicyV1().PodDisruptionBudgets(s.ns)
	s.conforms(t, "[sig-apps] DisruptionController should create a PodDisruptionBudget", func(t *testing.T) {
		s.budget(t, s.ns, "made", 1)
		s.counted(t, "made", func(b *policyv1.PodDisruptionBudget) bool { return b.Spec.MinAvailable.IntVal == 1 })
		got, err := budgets.Get(t.Context(), "made", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got.Spec.MinAvailable = new(intstr.FromString("2%"))
		if got, err = budgets.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil || got.Spec.MinAvailable.StrVal != "2%" {
			t.Fatalf("%+v, %v", got, err)
		}
		got, err = budgets.Patch(t.Context(), "made", types.StrategicMergePatchType, []byte(`{"spec":{"minAvailable":"3%"}}`), metav1.PatchOptions{})
		if err != nil || got.Spec.MinAvailable.StrVal != "3%" {
			t.Fatalf("%+v, %v", got, err)
		}
		s.counted(t, "made", func(*policyv1.PodDisruptionBudget) bool { return true })
		if err := budgets.Delete(t.Context(), "made", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := budgets.Get(t.Context(), "made", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("deleted: %v", err)
		}
	})
	s.conforms(t, "[sig-apps] DisruptionController should observe PodDisruptionBudget status updated", func(t *testing.T) {
		s.budget(t, s.ns, "observed", 1)
		for range 3 {
			s.runs(t, s.budgeted("observed"))
		}
		s.counted(t, "observed", func(b *policyv1.PodDisruptionBudget) bool {
			return b.Status.CurrentHealthy == 3 && b.Status.ExpectedPods == 3 && b.Status.DisruptionsAllowed == 2
		})
	})
	s.conforms(t, "[sig-apps] DisruptionController should update/patch PodDisruptionBudget status", s.budgetStatus)
	s.conforms(t, "[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it", s.budgetBlocks)
	s.conforms(t, "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets", func(t *testing.T) {
		other := s.space(t, "budgets")
		collected := func(b *policyv1.PodDisruptionBudget) { b.Labels = map[string]string{"collected": s.ns} }
		s.budget(t, s.ns, "collected-1", 1, collected)
		s.budget(t, s.ns, "collected-2", 1, collected)
		s.budget(t, other.Name, "collected-3", 1, collected)
		some := metav1.ListOptions{LabelSelector: "collected=" + s.ns}
		count := func(namespace string, want int) {
			t.Helper()
			if list, err := s.client.PolicyV1().PodDisruptionBudgets(namespace).List(t.Context(), some); err != nil || len(list.Items) != want {
				t.Errorf("in %q: %d, %v, want %d", namespace, len(list.Items), err, want)
			}
		}
		count("", 3)
		count(s.ns, 2)
		if err := budgets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, some); err != nil {
			t.Fatal(err)
		}
		count(s.ns, 0)
		count("", 1)
		if err := s.client.CoreV1().Namespaces().Delete(t.Context(), other.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// budgetStatus writes what the controller keeps.
func (s *stage) budgetStatus(t *testing.T) {
	budgets := s.client.PolicyV1().PodDisruptionBudgets(s.ns)
	s.budget(t, s.ns, "status", 1)
	pod := s.runs(t, s.budgeted("status"))
	s.counted(t, "status", func(b *policyv1.PodDisruptionBudget) bool { return b.Status.CurrentHealthy == 1 })
	eventually(t, stepTimeout, func() error { // the controller writes, too
		b, err := budgets.Get(t.Context(), "status", metav1.GetOptions{})
		if err != nil {
			return err
		}
		b.Status.DisruptedPods = map[string]metav1.Time{pod.Name: metav1.Now()}
		b, err = budgets.UpdateStatus(t.Context(), b, metav1.UpdateOptions{})
		if err == nil && len(b.Status.DisruptedPods) != 1 {
			t.Errorf("updated: %+v", b.Status)
		}
		return err
	})
	s.counted(t, "status", func(b *policyv1.PodDisruptionBudget) bool {
		_, ok := b.Status.DisruptedPods[pod.Name]
		return ok && b.Status.CurrentHealthy == 0
	})
	b, err := budgets.Patch(t.Context(), "status", types.MergePatchType, []byte(`{"status":{"disruptedPods":null}}`), metav1.PatchOptions{}, "status")
	if err != nil || len(b.Status.DisruptedPods) != 0 {
		t.Errorf("patched: %+v, %v", b.Status, err)
	}
}

// budgetBlocks has a budget that allows evictions when there are more pods, or less of them
// are to be left.
func (s *stage) budgetBlocks(t *testing.T) {
	budgets := s.client.PolicyV1().PodDisruptionBudgets(s.ns)
	s.budget(t, s.ns, "blocks", 3)
	var pods []*corev1.Pod
	for range 3 {
		pods = append(pods, s.runs(t, s.budgeted("blocks")))
	}
	s.counted(t, "blocks", func(b *policyv1.PodDisruptionBudget) bool { return b.Status.CurrentHealthy == 3 })
	err := s.evict(t, pods[0].Name)
	if !apierrors.IsTooManyRequests(err) || !apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		t.Fatalf("the eviction: %v", err)
	}
	if _, err := budgets.Patch(t.Context(), "blocks", types.MergePatchType, []byte(`{"spec":{"minAvailable":2}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.counted(t, "blocks", func(b *policyv1.PodDisruptionBudget) bool { return b.Status.DisruptionsAllowed == 1 })
	if err := s.evict(t, pods[0].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := budgets.Patch(t.Context(), "blocks", types.MergePatchType, []byte(`{"spec":{"minAvailable":3}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.counted(t, "blocks", func(b *policyv1.PodDisruptionBudget) bool {
		return b.Status.CurrentHealthy == 2 && b.Status.DisruptionsAllowed == 0
	})
	if err := s.evict(t, pods[1].Name); !apierrors.IsTooManyRequests(err) {
		t.Errorf("the eviction of the second: %v", err)
	}
	if err := budgets.Delete(t.Context(), "blocks", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.evict(t, pods[1].Name); err != nil {
		t.Errorf("without the budget: %v", err)
	}
	left, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "budget=blocks"})
	if err != nil || !slices.ContainsFunc(left.Items, func(p corev1.Pod) bool { return p.Name == pods[2].Name && p.DeletionTimestamp == nil }) {
		t.Errorf("the third is not left: %v", err)
	}
}
