package registration

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/nodefields"
)

// tell records an Event for every condition of the agent's own that a write has changed.
func (r *Registrar) tell(before, now *corev1.Node) {
	for _, c := range now.Status.Conditions {
		reason := reasonOf(c)
		if old := nodefields.Condition(before, c.Type); reason != "" && (old == nil || old.Status != c.Status) {
			r.cfg.Event(reason, fmt.Sprintf("Node %s status is now: %s", r.cfg.NodeName, reason))
		}
	}
}

// reasonOf is what the kubelet's Events call a condition, "" for one that they do not tell.
func reasonOf(c corev1.NodeCondition) string {
	is := c.Status == corev1.ConditionTrue
	name := func(yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	switch c.Type {
	case corev1.NodeReady:
		return name("NodeReady", "NodeNotReady")
	case corev1.NodeMemoryPressure:
		return name("NodeHasInsufficientMemory", "NodeHasSufficientMemory")
	case corev1.NodeDiskPressure:
		return name("NodeHasDiskPressure", "NodeHasNoDiskPressure")
	case corev1.NodePIDPressure:
		return name("NodeHasInsufficientPID", "NodeHasSufficientPID")
	}
	return ""
}
