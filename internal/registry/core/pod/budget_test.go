package pod

import (
	"context"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"
)

// held are budgets.
type held struct {
	all     []policyv1.PodDisruptionBudget
	written int
}

func (h *held) list(context.Context) (all []policyv1.PodDisruptionBudget, err error) {
	for _, b := range h.all {
		all = append(all, *b.DeepCopy())
	}
	return all, nil
}

func (h *held) update(_ context.Context, b *policyv1.PodDisruptionBudget) error {
	h.written++
	h.all[slices.IndexFunc(h.all, func(o policyv1.PodDisruptionBudget) bool { return o.Name == b.Name })] = *b
	return nil
}

// budget allows so many disruptions of all pods of the namespace.
func budget(allowed int32, change ...func(*policyv1.PodDisruptionBudget)) policyv1.PodDisruptionBudget {
	b := policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "b", Generation: 2},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}},
		Status:     policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, DisruptionsAllowed: allowed, DesiredHealthy: 1, CurrentHealthy: 1 + allowed},
	}
	for _, f := range change {
		f(&b)
	}
	return b
}

func ready(p *corev1.Pod) {
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

func unready(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }

func TestEvictionKeepsToBudgets(t *testing.T) {
	const refusal = "Cannot evict pod as it would violate the pod's disruption budget."
	generation := func(b *policyv1.PodDisruptionBudget) { b.Generation++ }
	always := func(b *policyv1.PodDisruptionBudget) {
		b.Spec.UnhealthyPodEvictionPolicy = ptr.To(policyv1.AlwaysAllow)
	}
	short := func(b *policyv1.PodDisruptionBudget) { b.Status.CurrentHealthy = 0 }
	for name, tc := range map[string]struct {
		pod     func(*corev1.Pod)
		budgets []policyv1.PodDisruptionBudget
		refused string // the cause
		spent   bool
	}{
		"none":                       {pod: ready},
		"allowed":                    {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(1)}, spent: true},
		"exhausted":                  {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(0)}, refused: "The disruption budget b needs 1 healthy pods and has 1 currently"},
		"not observed":               {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(1, generation)}, refused: "The disruption budget b is still being processed by the server."},
		"of other pods":              {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(0, func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector.MatchLabels = map[string]string{"a": "b"} })}},
		"of no pods":                 {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(0, func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector = nil })}},
		"pending":                    {pod: func(*corev1.Pod) {}, budgets: []policyv1.PodDisruptionBudget{budget(0)}},
		"failed":                     {pod: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, budgets: []policyv1.PodDisruptionBudget{budget(0)}},
		"unready, others healthy":    {pod: unready, budgets: []policyv1.PodDisruptionBudget{budget(0)}},
		"unready, too few healthy":   {pod: unready, budgets: []policyv1.PodDisruptionBudget{budget(0, short)}, refused: "The disruption budget b needs 1 healthy pods and has 0 currently"},
		"unready, which always goes": {pod: unready, budgets: []policyv1.PodDisruptionBudget{budget(0, short, always)}},
		"out of sync": {pod: ready, budgets: []policyv1.PodDisruptionBudget{budget(0, func(b *policyv1.PodDisruptionBudget) {
			b.Status.CurrentHealthy = 5
			b.Status.Conditions = []metav1.Condition{{Type: "DisruptionAllowed", Status: "False", Reason: "SyncFailed", Message: "no scale"}}
		})}, refused: "The disruption budget b does not allow evicting pods currently because it failed sync: no scale"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Kubelets{})
			s.budgets.all = tc.budgets
			s.create("a", oneContainer)
			if err := s.bind("a", "node"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.updateStatus("a", tc.pod); err != nil {
				t.Fatal(err)
			}
			err := s.evict("a", nil, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if s.budgets.written > 0 || (err == nil) != (tc.refused == "") {
				t.Errorf("a dry run wrote %d times: %v", s.budgets.written, err)
			}
			err = s.evict("a", nil, &metav1.CreateOptions{})
			if tc.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
			} else {
				wantError(t, err, errors.IsTooManyRequests, refusal)
				if status, ok := err.(errors.APIStatus); !ok || len(status.Status().Details.Causes) != 1 || status.Status().Details.Causes[0] != (metav1.StatusCause{Type: "DisruptionBudget", Message: tc.refused}) {
					t.Errorf("causes %+v", err)
				}
			}
			if spent := s.budgets.written > 0; spent != tc.spent {
				t.Errorf("spent %v", spent)
			}
			if tc.spent {
				b := s.budgets.all[0].Status
				if _, ok := b.DisruptedPods["a"]; !ok || b.DisruptionsAllowed != 0 || b.Conditions[0].Reason != "InsufficientPods" {
					t.Errorf("budget %+v", b)
				}
			}
		})
	}
}

func TestEvictionOfAPodWithTwoBudgets(t *testing.T) {
	s := newServer(t, Kubelets{})
	s.budgets.all = []policyv1.PodDisruptionBudget{budget(1), budget(1, func(b *policyv1.PodDisruptionBudget) { b.Name = "c" })}
	s.create("a", oneContainer)
	if _, err := s.updateStatus("a", ready); err != nil {
		t.Fatal(err)
	}
	e := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	obj, err := s.ByPath["pods/eviction"].(rest.NamedCreater).Create(s.ctx, "a", e, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	status, ok := obj.(*metav1.Status)
	if err != nil || !ok || status.Code != http.StatusInternalServerError || status.Message != "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." {
		t.Errorf("%+v, %v", obj, err)
	}
	if s.get("a").DeletionTimestamp != nil {
		t.Error("it is evicted all the same")
	}
}
