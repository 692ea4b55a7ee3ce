package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// spare splits pods, the most important first, by whether their end would exceed a
// disruption budget if all of them ended. Making way is not an eviction: such pods are
// only spared where others will do.
func (w world) spare(lower []booking) (exceeding, others []booking) {
	if w.budgets == nil {
		return nil, lower
	}
	left := map[*policyv1.PodDisruptionBudget]int32{}
	for _, b := range lower {
		exceeds := false
		for _, budget := range w.budgets(b.pod.Namespace) {
			if !covers(budget, b.pod) {
				continue
			}
			if _, ok := left[budget]; !ok {
				left[budget] = budget.Status.DisruptionsAllowed
			}
			left[budget]--
			exceeds = exceeds || left[budget] < 0
		}
		if exceeds {
			exceeding = append(exceeding, b)
		} else {
			others = append(others, b)
		}
	}
	return exceeding, others
}

// covers tells whether a budget counts a pod that has not been taken out of it yet. As
// upstream's scheduler has it, an empty selector covers nobody.
func covers(b *policyv1.PodDisruptionBudget, p *corev1.Pod) bool {
	if _, taken := b.Status.DisruptedPods[p.Name]; taken || len(p.Labels) == 0 {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(p.Labels))
}
