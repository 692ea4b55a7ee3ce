package server

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// budgets has a pod that a budget keeps from being evicted, and one that is told of a
// disruption that does not come.
func (w *world) budgets() {
	ctx := w.Context()
	_, err := w.admin.PolicyV1().PodDisruptionBudgets("default").Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "budget"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"budget": "yes"}}},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("it is told that it has no pods", w.toldOf("budget"))
	pods := w.admin.CoreV1().Pods("default")
	w.eventually("a pod can be made", func() bool {
		_, err := pods.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "kept", Labels: map[string]string{"budget": "yes"}, OwnerReferences: []metav1.OwnerReference{w.scaled("kept")}},
			Spec:       corev1.PodSpec{SchedulerName: "nobody", AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}, metav1.CreateOptions{})
		return err == nil
	})
	_, err = pods.Patch(ctx, "kept", types.StrategicMergePatchType, []byte(`{"status":{"phase":"Running","conditions":[
		{"type":"Ready","status":"True"},{"type":"DisruptionTarget","status":"True","reason":"Test","lastTransitionTime":"2020-01-01T00:00:00Z"}]}}`), metav1.PatchOptions{}, "status")
	w.must(err)
	w.eventually("the pod counts", func() bool {
		b, err := w.admin.PolicyV1().PodDisruptionBudgets("default").Get(ctx, "budget", metav1.GetOptions{})
		return err == nil && b.Status.CurrentHealthy == 1 && b.Status.ExpectedPods == 1 && b.Status.DisruptionsAllowed == 0
	})
	evict := func() error {
		return pods.EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "kept"}})
	}
	if err := evict(); !apierrors.IsTooManyRequests(err) {
		w.Errorf("its eviction: %v", err)
	}
	w.eventually("the disruption that did not come is taken back", func() bool {
		p, err := pods.Get(ctx, "kept", metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionFalse && c.Reason == ""
		})
	})
	for _, share := range []string{"50%", "0%"} {
		_, err = w.admin.PolicyV1().PodDisruptionBudgets("default").Patch(ctx, "budget", types.MergePatchType, []byte(`{"spec":{"minAvailable":"`+share+`"}}`), metav1.PatchOptions{})
		w.must(err)
	}
	w.eventually("what has no scale cannot be counted", func() bool {
		b, err := w.admin.PolicyV1().PodDisruptionBudgets("default").Get(ctx, "budget", metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(b.Status.Conditions, func(c metav1.Condition) bool {
			return c.Reason == "SyncFailed" && c.Message == "configmaps does not implement the scale subresource"
		})
	})
	_, err = w.admin.PolicyV1().PodDisruptionBudgets("default").Patch(ctx, "budget", types.MergePatchType, []byte(`{"spec":{"minAvailable":0}}`), metav1.PatchOptions{})
	w.must(err)
	w.eventually("the pod is evicted", func() bool { return evict() == nil })
}

// scaled makes an object that is a pod's controller, and has no scale.
func (w *world) scaled(name string) metav1.OwnerReference {
	w.Helper()
	ref := refer(w.owned("default", name))
	ref.Controller = ptr.To(true)
	return ref
}
