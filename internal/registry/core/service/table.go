package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*corev1.Service] {
	doc := corev1.ServiceSpec{}.SwaggerDoc()
	return resource.Columns[*corev1.Service]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Type", Type: "string", Description: doc["type"]},
			{Name: "Cluster-IP", Type: "string", Description: doc["clusterIP"]},
			{Name: "External-IP", Type: "string", Description: doc["externalIPs"]},
			{Name: "Port(s)", Type: "string", Description: doc["ports"]},
			resource.AgeColumn(),
			{Name: "Selector", Type: "string", Priority: 1, Description: doc["selector"]},
		},
		Row: func(s *corev1.Service) []any {
			return []any{
				s.Name, string(s.Spec.Type), clusterIP(s), externalIP(s), ports(s.Spec.Ports),
				resource.Age(s), labels.FormatLabels(s.Spec.Selector),
			}
		},
	}
}

func clusterIP(s *corev1.Service) string {
	if len(s.Spec.ClusterIPs) == 0 {
		return "<none>"
	}
	return s.Spec.ClusterIPs[0]
}

func externalIP(s *corev1.Service) string {
	ips := slices.Clone(s.Spec.ExternalIPs)
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		if ips = append(balancer(s), ips...); len(ips) == 0 {
			return "<pending>"
		}
	}
	if len(ips) == 0 {
		return "<none>"
	}
	return strings.Join(ips, ",")
}

// balancer lists the addresses or names of the load balancer.
func balancer(s *corev1.Service) []string {
	var all []string
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		switch {
		case ingress.IP != "":
			all = append(all, ingress.IP)
		case ingress.Hostname != "":
			all = append(all, ingress.Hostname)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func ports(list []corev1.ServicePort) string {
	if len(list) == 0 {
		return "<none>"
	}
	pieces := make([]string, len(list))
	for i, port := range list {
		pieces[i] = fmt.Sprintf("%d/%s", port.Port, port.Protocol)
		if port.NodePort > 0 {
			pieces[i] = fmt.Sprintf("%d:%d/%s", port.Port, port.NodePort, port.Protocol)
		}
	}
	return strings.Join(pieces, ",")
}
