package endpointslice

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

// allNodes is the one key of the queue that looks at how nodes are spread over zones.
const allNodes = "nodes"

// staying returns the slices that nobody has deleted yet: those that are going cannot be
// written, and would be waited for.
func staying(all []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	var stay []*discoveryv1.EndpointSlice
	for _, s := range all {
		if s.DeletionTimestamp == nil {
			stay = append(stay, s)
		}
	}
	return stay
}

// zoneChanges calls changed when nodes come, go, or may count differently for their zone.
func zoneChanges(changed func()) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		DeleteFunc: func(any) { changed() },
		UpdateFunc: func(oldObj, obj any) {
			old, wasNode := oldObj.(*corev1.Node)
			node, isNode := obj.(*corev1.Node)
			if wasNode && isNode && (zone(old) != zone(node) || ready(old) != ready(node) || excluded(old) != excluded(node)) {
				changed()
			}
		},
	}
}

// spread tells the cache of hints how nodes are spread, and queues services whose hints no
// longer fit.
func (c *Controller) spread(context.Context, string) error {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	c.topology.SetNodes(c.log, nodes)
	for _, service := range c.topology.GetOverloadedServices() {
		c.queue.Add(service)
	}
	return nil
}

func zone(n *corev1.Node) string { return n.Labels[corev1.LabelTopologyZone] }

func ready(n *corev1.Node) corev1.ConditionStatus {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return ""
}

// excluded tells whether the hints leave a node out: control planes.
func excluded(n *corev1.Node) bool {
	for _, label := range []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"} {
		if _, ok := n.Labels[label]; ok {
			return true
		}
	}
	return false
}
