package evict

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/apps/poddisruptionbudget"

	"laterna.dev/laterna/internal/clock"
)

// Budgets are the PodDisruptionBudgets that evictions keep to.
type Budgets struct {
	// List returns those of the request's namespace, as they are now.
	List func(ctx context.Context) ([]policyv1.PodDisruptionBudget, error)
	// UpdateStatus writes the status of one. It fails with a conflict where it is not the
	// one that was read.
	UpdateStatus func(ctx context.Context, b *policyv1.PodDisruptionBudget) error
}

const (
	// mostDisrupted is how many evicted pods may wait for the controller to notice them.
	mostDisrupted = 2000
	// Evictions that meet other writers are tried so often, with this pause.
	tries = 20
	pause = 500 * time.Millisecond
)

// of returns the budgets of a pod. One without a selector has no pods, one with an empty
// selector those of the whole namespace.
func (b Budgets) of(ctx context.Context, p *corev1.Pod) (found []policyv1.PodDisruptionBudget, err error) {
	if b.List == nil {
		return nil, nil
	}
	all, err := b.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, each := range all {
		selector, err := metav1.LabelSelectorAsSelector(each.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(p.Labels)) {
			found = append(found, each)
		}
	}
	return found, nil
}

// exempt tells whether no budget counts a pod: it disrupts nothing.
func exempt(p *corev1.Pod) bool {
	return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending || over(p)
}

func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// uncounted tells whether a budget lets a pod go without counting it, because it is not
// ready: it does not count among the healthy.
func uncounted(p *corev1.Pod, b *policyv1.PodDisruptionBudget) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	if policy := b.Spec.UnhealthyPodEvictionPolicy; policy != nil && *policy == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.DesiredHealthy > 0 && b.Status.CurrentHealthy >= b.Status.DesiredHealthy
}

// spend takes the eviction of a pod out of a budget. The error is the answer.
func spend(b *policyv1.PodDisruptionBudget, pod string, now time.Time) error {
	s := &b.Status
	switch {
	case s.ObservedGeneration < b.Generation:
		return beingProcessed(b.Name)
	case s.DisruptionsAllowed < 0:
		return errors.NewForbidden(policyv1.Resource("poddisruptionbudget"), b.Name, fmt.Errorf("pdb disruptions allowed is negative"))
	case len(s.DisruptedPods) > mostDisrupted:
		return errors.NewForbidden(policyv1.Resource("poddisruptionbudget"), b.Name, fmt.Errorf("DisruptedPods map too big - too many evictions not confirmed by PDB controller"))
	case s.DisruptionsAllowed == 0:
		return denied(0, exhausted(b))
	}
	s.DisruptionsAllowed--
	if s.DisruptionsAllowed == 0 {
		poddisruptionbudget.UpdateDisruptionAllowedCondition(b)
	}
	if s.DisruptedPods == nil {
		s.DisruptedPods = map[string]metav1.Time{}
	}
	s.DisruptedPods[pod] = metav1.NewTime(now)
	return nil
}

// exhausted says why a budget allows nothing.
func exhausted(b *policyv1.PodDisruptionBudget) string {
	s := b.Status
	if s.CurrentHealthy <= s.DesiredHealthy {
		return fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, s.DesiredHealthy, s.CurrentHealthy)
	}
	text := fmt.Sprintf("The disruption budget %s does not allow evicting pods currently", b.Name)
	c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
	switch {
	case c == nil:
		return text
	case c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason:
		return text + " because it failed sync: " + c.Message
	}
	return fmt.Sprintf("%s (%s): %s", text, c.Reason, c.Message)
}

func beingProcessed(budget string) error {
	return denied(10, fmt.Sprintf("The disruption budget %s is still being processed by the server.", budget))
}

func denied(retryAfter int, cause string) error {
	err := errors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retryAfter)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: cause})
	return err
}

// patiently calls f until it meets no other writer; once is enough where the client has
// said which version it means. The second result tells that it never did.
func patiently(ctx context.Context, wall clock.Wall, f func() error) (err error, exhausted bool) {
	for range tries {
		if err = f(); !errors.IsConflict(err) {
			return err, false
		}
		timer := wall.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err(), false
		case <-timer.C():
		}
	}
	return err, true
}
