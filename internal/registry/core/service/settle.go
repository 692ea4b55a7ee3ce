package service

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// takesAddress reports whether the service holds an address of the range.
func takesAddress(s *corev1.Service) bool {
	return s.Spec.Type != corev1.ServiceTypeExternalName && !headless(s)
}

// takesPorts reports whether the service may hold node ports.
func takesPorts(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// wantsPorts reports whether ports that name no node port are given one.
func wantsPorts(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort ||
		s.Spec.Type == corev1.ServiceTypeLoadBalancer && ptr.Deref(s.Spec.AllocateLoadBalancerNodePorts, true)
}

func needsHealthCheck(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// settle brings a service into the form in which it is given addresses: clusterIP
// and clusterIPs agree, what a client left out on an update is kept, what the
// service's type no longer has is dropped. old is nil for a new service.
func settle(s, old *corev1.Service) {
	if old != nil {
		keep(s, old)
		drop(s, old)
		same := slices.Equal(s.Spec.ClusterIPs, old.Spec.ClusterIPs)
		switch {
		case old.Spec.ClusterIP != "" && s.Spec.ClusterIP == "" && same:
			s.Spec.ClusterIPs = nil
		case old.Spec.ClusterIP != s.Spec.ClusterIP && s.Spec.ClusterIP != "" && same:
			s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
		}
	}
	if s.Spec.ClusterIP != "" && len(s.Spec.ClusterIPs) == 0 {
		s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	}
}

// keep copies allocated values that the client did not send, so that a manifest
// without them can be applied again and again.
func keep(s, old *corev1.Service) {
	if takesAddress(s) && takesAddress(old) {
		if s.Spec.ClusterIP == "" {
			s.Spec.ClusterIP = old.Spec.ClusterIP
		}
		if len(s.Spec.ClusterIPs) == 0 && s.Spec.ClusterIP == old.Spec.ClusterIP {
			s.Spec.ClusterIPs = slices.Clone(old.Spec.ClusterIPs)
		}
	}
	if takesPorts(s) && takesPorts(old) {
		keepPorts(s, old)
	}
	if needsHealthCheck(s) && needsHealthCheck(old) && s.Spec.HealthCheckNodePort == 0 {
		s.Spec.HealthCheckNodePort = old.Spec.HealthCheckNodePort
	}
}

// keepPorts matches ports by name, whatever else of them has changed.
func keepPorts(s, old *corev1.Service) {
	used, byName := map[int32]bool{}, map[string]int32{}
	for _, port := range s.Spec.Ports {
		used[port.NodePort] = true
	}
	for _, port := range old.Spec.Ports {
		byName[port.Name] = port.NodePort
	}
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		if before := byName[port.Name]; port.NodePort == 0 && !used[before] {
			port.NodePort = before
		}
	}
}

// drop clears what came with the old type and was sent back unchanged, so that a
// patch of the type alone is enough.
func drop(s, old *corev1.Service) {
	now, before := &s.Spec, &old.Spec
	if before.Type != corev1.ServiceTypeExternalName && now.Type == corev1.ServiceTypeExternalName {
		if now.ClusterIP == before.ClusterIP && slices.Equal(now.ClusterIPs, before.ClusterIPs) {
			now.ClusterIP, now.ClusterIPs = "", nil
		}
		if slices.Equal(now.IPFamilies, before.IPFamilies) {
			now.IPFamilies = nil
		}
		if ptr.Equal(now.IPFamilyPolicy, before.IPFamilyPolicy) {
			now.IPFamilyPolicy = nil
		}
		if ptr.Equal(now.InternalTrafficPolicy, before.InternalTrafficPolicy) {
			now.InternalTrafficPolicy = nil
		}
	}
	if takesPorts(old) && !takesPorts(s) && samePorts(now.Ports, before.Ports) {
		for i := range now.Ports {
			now.Ports[i].NodePort = 0
		}
	}
	if needsHealthCheck(old) && !needsHealthCheck(s) && now.HealthCheckNodePort == before.HealthCheckNodePort {
		now.HealthCheckNodePort = 0
	}
	if external(old) && !external(s) && now.ExternalTrafficPolicy == before.ExternalTrafficPolicy {
		now.ExternalTrafficPolicy = ""
	}
	if before.Type == corev1.ServiceTypeLoadBalancer && now.Type != corev1.ServiceTypeLoadBalancer {
		if ptr.Equal(now.AllocateLoadBalancerNodePorts, before.AllocateLoadBalancerNodePorts) {
			now.AllocateLoadBalancerNodePorts = nil
		}
		if ptr.Equal(now.LoadBalancerClass, before.LoadBalancerClass) {
			now.LoadBalancerClass = nil
		}
	}
}

// samePorts tells whether none of the node ports a is new.
func samePorts(a, b []corev1.ServicePort) bool {
	had := map[int32]bool{0: true}
	for _, port := range b {
		had[port.NodePort] = true
	}
	return !slices.ContainsFunc(a, func(port corev1.ServicePort) bool { return !had[port.NodePort] })
}
