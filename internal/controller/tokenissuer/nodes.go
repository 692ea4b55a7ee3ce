package tokenissuer

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/nodefields"
)

// state reads what counts of the nodes.
func (c *Controller) state() ([]node, error) {
	all, err := c.nodes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, n := range all {
		one := node{name: n.Name, ready: nodefields.Ready(n) == corev1.ConditionTrue, silent: c.silent(n)}
		if text, ok := n.Annotations[api.IssuerRevision]; ok {
			revision, err := strconv.ParseInt(text, 10, 32)
			one.revision, one.reports = int32(revision), err == nil && revision >= 0
		}
		nodes = append(nodes, one)
	}
	return nodes, nil
}

// silent tells whether a node's lease was not renewed for too long.
func (c *Controller) silent(n *corev1.Node) bool {
	lease, err := c.leases.Leases(corev1.NamespaceNodeLease).Get(n.Name)
	if err != nil || lease.Spec.RenewTime == nil {
		return c.config.Wall.Since(n.CreationTimestamp.Time) > SilentAfter
	}
	return c.config.Wall.Since(lease.Spec.RenewTime.Time) > SilentAfter
}
