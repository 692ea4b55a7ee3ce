// Package nodefields reads what several parts ask of a Node: whether it is ready, which of
// its resources others have given it. Who writes the first is internal/node/registration, for
// a node that is silent internal/controller/nodelifecycle.
package nodefields

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Condition returns the node's condition of a type, nil where it has none. It is part
// of the node, not a copy.
func Condition(n *corev1.Node, kind corev1.NodeConditionType) *corev1.NodeCondition {
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &n.Status.Conditions[i]
}

// Ready returns whether pods can run on a node, ConditionUnknown where nobody has said.
func Ready(n *corev1.Node) corev1.ConditionStatus {
	if c := Condition(n, corev1.NodeReady); c != nil {
		return c.Status
	}
	return corev1.ConditionUnknown
}

// Extended tells whether a resource is one that is only counted: a name with a domain that
// is not Kubernetes' own. A node has as many as whoever offers them writes into the
// capacity of its status.
func Extended(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return qualified && !strings.HasSuffix(domain, "kubernetes.io") && !strings.HasPrefix(domain, corev1.DefaultResourceRequestsPrefix)
}
