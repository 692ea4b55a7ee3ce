package node

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/nodefields"
	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*corev1.Node] {
	info := corev1.NodeSystemInfo{}.SwaggerDoc()
	addresses := corev1.NodeStatus{}.SwaggerDoc()["addresses"]
	return resource.Columns[*corev1.Node]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Status", Type: "string", Description: "The status of the node"},
			{Name: "Roles", Type: "string", Description: "The roles of the node"},
			resource.AgeColumn(),
			{Name: "Version", Type: "string", Description: info["kubeletVersion"]},
			{Name: "Internal-IP", Type: "string", Priority: 1, Description: addresses},
			{Name: "External-IP", Type: "string", Priority: 1, Description: addresses},
			{Name: "OS-Image", Type: "string", Priority: 1, Description: info["osImage"]},
			{Name: "Kernel-Version", Type: "string", Priority: 1, Description: info["kernelVersion"]},
			{Name: "Container-Runtime", Type: "string", Priority: 1, Description: info["containerRuntimeVersion"]},
		},
		Row: func(n *corev1.Node) []any {
			i := n.Status.NodeInfo
			return []any{
				n.Name, status(n), roles(n), resource.Age(n), i.KubeletVersion,
				address(n, corev1.NodeInternalIP), address(n, corev1.NodeExternalIP),
				orElse(i.OSImage, "<unknown>"), orElse(i.KernelVersion, "<unknown>"), orElse(i.ContainerRuntimeVersion, "<unknown>"),
			}
		},
	}
}

func status(n *corev1.Node) string {
	s := "Unknown"
	switch c := nodefields.Condition(n, corev1.NodeReady); {
	case c == nil:
	case c.Status == corev1.ConditionTrue:
		s = "Ready"
	default:
		s = "NotReady"
	}
	if n.Spec.Unschedulable {
		s += ",SchedulingDisabled"
	}
	return s
}

// Labels that give a node a role: the role is in the key, or in the value of the
// older form.
const (
	rolePrefix = "node-role.kubernetes.io/"
	roleLabel  = "kubernetes.io/role"
)

func roles(n *corev1.Node) string {
	var found []string
	for key, value := range n.Labels {
		if role, ok := strings.CutPrefix(key, rolePrefix); ok && role != "" {
			found = append(found, role)
		} else if key == roleLabel && value != "" {
			found = append(found, value)
		}
	}
	slices.Sort(found)
	return orElse(strings.Join(slices.Compact(found), ","), "<none>")
}

func address(n *corev1.Node, kind corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == kind {
			return a.Address
		}
	}
	return "<none>"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
