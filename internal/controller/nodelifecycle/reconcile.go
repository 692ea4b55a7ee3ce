package nodelifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/nodefields"
)

// reconciler decides about one node; its fields read what was heard and write to
// the API.
type reconciler struct {
	now          func() time.Time
	heard        func(node string) time.Time
	updateStatus run.Commit[*corev1.Node]
	update       run.Commit[*corev1.Node]
}

// reconcile brings conditions and taints of a node in line with its heartbeats. It
// returns when to look again.
func (r reconciler) reconcile(ctx context.Context, n *corev1.Node) (time.Duration, error) {
	now := r.now()
	next := r.heard(n.Name).Add(Grace).Sub(now)
	if next <= 0 {
		next = Grace
		var err error
		if n, err = r.silence(ctx, n, now); err != nil {
			return 0, err
		}
	}
	tainted := n.DeepCopy()
	tainted.Spec.Taints = taintsFor(n, now)
	if _, err := r.update(ctx, n, tainted); err != nil && !run.Overtaken(err) {
		return 0, fmt.Errorf("writing taints: %w", err)
	}
	return next, nil
}

// silence marks all conditions that the node itself reports as unknown.
func (r reconciler) silence(ctx context.Context, n *corev1.Node, now time.Time) (*corev1.Node, error) {
	next := n.DeepCopy()
	for _, kind := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		forget(next, kind, metav1.NewTime(now))
	}
	updated, err := r.updateStatus(ctx, n, next)
	switch {
	case run.Overtaken(err):
		return n, nil
	case err != nil:
		return nil, fmt.Errorf("writing conditions: %w", err)
	}
	return updated, nil
}

// forget makes one condition unknown.
func forget(n *corev1.Node, kind corev1.NodeConditionType, now metav1.Time) {
	if c := nodefields.Condition(n, kind); c != nil {
		if c.Status != corev1.ConditionUnknown {
			c.Status, c.LastTransitionTime = corev1.ConditionUnknown, now
			c.Reason, c.Message = "NodeStatusUnknown", "Kubelet stopped posting node status."
		}
		return
	}
	n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
		Type:               kind,
		Status:             corev1.ConditionUnknown,
		Reason:             "NodeStatusNeverUpdated",
		Message:            "Kubelet never posted node status.",
		LastHeartbeatTime:  n.CreationTimestamp,
		LastTransitionTime: now,
	})
}

// owned lists the taints that this controller sets and takes away.
var owned = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable,
	corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure,
	corev1.TaintNodeNetworkUnavailable,
}

// taintsFor returns the taints that a node should have. Those of other owners, and
// those that it has already, stay as they are.
func taintsFor(n *corev1.Node, now time.Time) []corev1.Taint {
	wanted := wantedTaints(n)
	var taints []corev1.Taint
	for _, t := range n.Spec.Taints {
		same := func(w corev1.Taint) bool { return w.MatchTaint(&t) }
		switch {
		case !slices.Contains(owned, t.Key):
			taints = append(taints, t)
		case slices.ContainsFunc(wanted, same):
			taints = append(taints, t)
			wanted = slices.DeleteFunc(wanted, same)
		}
	}
	for _, w := range wanted {
		if w.Effect == corev1.TaintEffectNoExecute {
			w.TimeAdded = &metav1.Time{Time: now}
		}
		taints = append(taints, w)
	}
	return taints
}

// wantedTaints follows from the conditions and from spec.unschedulable.
func wantedTaints(n *corev1.Node) []corev1.Taint {
	var wanted []corev1.Taint
	add := func(key string, effects ...corev1.TaintEffect) {
		for _, effect := range effects {
			wanted = append(wanted, corev1.Taint{Key: key, Effect: effect})
		}
	}
	if n.Spec.Unschedulable {
		add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	}
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type == corev1.NodeReady && c.Status == corev1.ConditionFalse:
			add(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
		case c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown:
			add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
		case c.Status != corev1.ConditionTrue:
		case c.Type == corev1.NodeMemoryPressure:
			add(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule)
		case c.Type == corev1.NodeDiskPressure:
			add(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule)
		case c.Type == corev1.NodePIDPressure:
			add(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule)
		case c.Type == corev1.NodeNetworkUnavailable:
			add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
		}
	}
	return wanted
}
