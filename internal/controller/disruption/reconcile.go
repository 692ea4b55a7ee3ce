package disruption

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/component-helpers/apps/poddisruptionbudget"
)

const (
	// announced is how long a pod whose eviction was allowed may take to be deleted; then
	// it counts again.
	announced = 2 * time.Minute
	// stale is how long a pod may be told to be disrupted while nobody deletes it.
	stale = 2 * time.Minute
)

// scale is how many pods a controller is to have.
type scale struct {
	uid      types.UID
	replicas int32
}

// counter counts the pods that a budget expects; scaleOf asks for the scale of a pod's
// controller, nil where there is none.
type counter struct {
	scaleOf func(ctx context.Context, namespace string, controller metav1.OwnerReference) (*scale, error)
}

// count is how many pods a budget is about.
type count struct {
	expected, desired int32
	// unmanaged are pods without a controller, which nobody counts on.
	unmanaged []string
}

// count returns how many pods there should be, and how many of them healthy.
func (c counter) count(ctx context.Context, b *policyv1.PodDisruptionBudget, pods []*corev1.Pod) (n count, err error) {
	switch {
	case b.Spec.MaxUnavailable != nil:
		if n, err = c.scales(ctx, pods); err != nil {
			return n, err
		}
		most, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxUnavailable, int(n.expected), true)
		if err != nil {
			return n, err
		}
		n.desired = max(0, n.expected-int32(most))
	case b.Spec.MinAvailable == nil:
	case b.Spec.MinAvailable.Type == intstr.Int:
		n.desired, n.expected = b.Spec.MinAvailable.IntVal, int32(len(pods))
	default:
		if n, err = c.scales(ctx, pods); err != nil {
			return n, err
		}
		least, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, int(n.expected), true)
		if err != nil {
			return n, err
		}
		n.desired = int32(least)
	}
	return n, nil
}

// scales adds up what the controllers of pods are to have.
func (c counter) scales(ctx context.Context, pods []*corev1.Pod) (n count, err error) {
	asked, counted := map[types.UID]bool{}, map[types.UID]bool{}
	for _, p := range pods {
		ref := metav1.GetControllerOfNoCopy(p)
		if ref == nil {
			n.unmanaged = append(n.unmanaged, p.Name)
			continue
		}
		if asked[ref.UID] {
			continue
		}
		asked[ref.UID] = true
		s, err := c.scaleOf(ctx, p.Namespace, *ref)
		if err != nil {
			return count{}, err
		}
		if s == nil {
			return count{}, fmt.Errorf("found no controllers for pod %q", p.Name)
		}
		if !counted[s.uid] {
			counted[s.uid] = true
			n.expected += s.replicas
		}
	}
	return n, nil
}

// disrupted are the pods whose announced end is still to come, and when the first of them
// counts again. late are those that nobody has deleted in time.
func disrupted(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, now time.Time) (left map[string]metav1.Time, recheck time.Time, late []*corev1.Pod) {
	left = map[string]metav1.Time{}
	for _, p := range pods {
		since, ok := b.Status.DisruptedPods[p.Name]
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		until := since.Add(announced)
		if until.Before(now) {
			late = append(late, p)
			continue
		}
		left[p.Name] = since
		if recheck.IsZero() || until.Before(recheck) {
			recheck = until
		}
	}
	return left, recheck, late
}

// healthy counts the pods that are ready and stay.
func healthy(pods []*corev1.Pod, ending map[string]metav1.Time, now time.Time) (n int32) {
	for _, p := range pods {
		since, ends := ending[p.Name]
		if p.DeletionTimestamp == nil && !(ends && since.Add(announced).After(now)) && ready(p) {
			n++
		}
	}
	return n
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// report is b with what was counted.
func report(b *policyv1.PodDisruptionBudget, n count, current int32, ending map[string]metav1.Time) *policyv1.PodDisruptionBudget {
	allowed := current - n.desired
	if n.expected <= 0 || allowed <= 0 {
		allowed = 0
	}
	was := b.Status
	same := was.CurrentHealthy == current && was.DesiredHealthy == n.desired && was.ExpectedPods == n.expected && was.DisruptionsAllowed == allowed &&
		equality.Semantic.DeepEqual(was.DisruptedPods, ending) && poddisruptionbudget.ConditionsAreUpToDate(b)
	if same {
		return b
	}
	told := b.DeepCopy()
	told.Status = policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: b.Generation, DisruptedPods: ending, DisruptionsAllowed: allowed,
		CurrentHealthy: current, DesiredHealthy: n.desired, ExpectedPods: n.expected, Conditions: told.Status.Conditions,
	}
	poddisruptionbudget.UpdateDisruptionAllowedCondition(told)
	return told
}

// failed is b as one that could not be counted: it allows nothing.
func failed(b *policyv1.PodDisruptionBudget, why error) *policyv1.PodDisruptionBudget {
	told := b.DeepCopy()
	told.Status.DisruptionsAllowed = 0
	meta.SetStatusCondition(&told.Status.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason,
		Message: why.Error(), ObservedGeneration: told.Status.ObservedGeneration,
	})
	return told
}

// forgotten tells when a pod may be told that it is not disrupted after all. What its node
// said stays, since that may take any time.
func forgotten(p *corev1.Pod, now time.Time) (wait time.Duration, ok bool) {
	if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return 0, false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason != corev1.PodReasonTerminationByKubelet {
			return max(0, stale-now.Sub(c.LastTransitionTime.Time)), true
		}
	}
	return 0, false
}
