package evict

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/clock"
)

// held is a budget; so many writes of it meet another writer.
type held struct {
	budget    policyv1.PodDisruptionBudget
	conflicts int
	written   int
}

func (h *held) list(context.Context) ([]policyv1.PodDisruptionBudget, error) {
	return []policyv1.PodDisruptionBudget{*h.budget.DeepCopy()}, nil
}

func (h *held) update(_ context.Context, b *policyv1.PodDisruptionBudget) error {
	if h.conflicts > 0 {
		h.conflicts--
		return errors.NewConflict(policyv1.Resource("poddisruptionbudgets"), b.Name, nil)
	}
	h.written++
	h.budget = *b
	return nil
}

// budget allows so many disruptions.
func budget(allowed int32) policyv1.PodDisruptionBudget {
	return policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed}}
}

// TestEvictionsCompete has other writers of a budget.
func TestEvictionsCompete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{budget: budget(1), conflicts: 3}
		r := New(Config{Budgets: Budgets{List: h.list, UpdateStatus: h.update}, Wall: clock.Real()})
		b, p := h.budget, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
		began := time.Now()
		if err := r.spend(t.Context(), &b, p, false); err != nil || h.written != 1 || time.Since(began) != 3*pause {
			t.Errorf("after %s: %d, %v", time.Since(began), h.written, err)
		}
		h.budget, h.conflicts = budget(1), 100
		b = h.budget
		if err := r.spend(t.Context(), &b, p, false); !errors.IsTimeout(err) || !strings.Contains(err.Error(), `couldn't update PodDisruptionBudget "b" due to conflicts`) {
			t.Errorf("%v", err)
		}
	})
}

func TestSpendRefusesWhatCannotBe(t *testing.T) {
	negative, full := budget(-1), budget(1)
	full.Status.DisruptedPods = map[string]metav1.Time{}
	for i := range mostDisrupted + 1 {
		full.Status.DisruptedPods[strings.Repeat("p", i+1)] = metav1.Time{}
	}
	for _, b := range []policyv1.PodDisruptionBudget{negative, full} {
		if err := spend(&b, "a", time.Now()); !errors.IsForbidden(err) {
			t.Errorf("%v", err)
		}
	}
}
