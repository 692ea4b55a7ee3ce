package service

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
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

func keepPorts(s, old *corev1.Service) {
	used := map[int32]bool{}
	for _, port := range s.Spec.Ports {
		used[port.NodePort] = true
	}
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		if port.NodePort != 0 {
			continue
		}
		for _, before := range old.Spec.Ports {
			if before.Port == port.Port && before.Protocol == port.Protocol && !used[before.NodePort] {
				port.NodePort = before.NodePort
			}
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

func samePorts(a, b []corev1.ServicePort) bool {
	return slices.EqualFunc(a, b, func(x, y corev1.ServicePort) bool { return x.NodePort == y.NodePort })
}

// settleFamilies fills in ipFamilies and ipFamilyPolicy for a cluster of one
// family, and refuses what such a cluster cannot give. It wants a settled service.
func settleFamilies(s *corev1.Service, family corev1.IPFamily) field.ErrorList {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if headless(s) && len(s.Spec.Selector) == 0 {
		settleFree(s, family)
		return nil
	}
	if errs := refuseSecond(s); len(errs) > 0 {
		return errs
	}
	if s.Spec.IPFamilyPolicy == nil {
		s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicySingleStack)
	}
	if len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = familiesOf(s.Spec.ClusterIPs)
	}
	if len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = []corev1.IPFamily{family}
	}
	var errs field.ErrorList
	for i, f := range s.Spec.IPFamilies {
		if f != family && slices.Contains(families, f) {
			errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilies").Index(i), f, "not configured on this cluster"))
		}
	}
	return errs
}

// settleFree handles headless services without a selector: their endpoints are
// made by hand and may be of any family.
func settleFree(s *corev1.Service, family corev1.IPFamily) {
	if s.Spec.IPFamilyPolicy == nil {
		s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
	}
	if len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = []corev1.IPFamily{family}
	}
	if len(s.Spec.IPFamilies) > 1 || *s.Spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack {
		return
	}
	for _, f := range families {
		if f != s.Spec.IPFamilies[0] {
			s.Spec.IPFamilies = append(s.Spec.IPFamilies, f)
			return
		}
	}
}

// refuseSecond answers requests for two families.
func refuseSecond(s *corev1.Service) field.ErrorList {
	at, policy := field.NewPath("spec", "ipFamilyPolicy"), s.Spec.IPFamilyPolicy
	if policy != nil && *policy == corev1.IPFamilyPolicyRequireDualStack {
		return field.ErrorList{field.Invalid(at, *policy, "this cluster is not configured for dual-stack services")}
	}
	if policy != nil && *policy != corev1.IPFamilyPolicySingleStack {
		return nil
	}
	switch {
	case len(s.Spec.ClusterIPs) == 2:
		return field.ErrorList{field.Invalid(at, ptr.Deref(policy, ""), "must be RequireDualStack or PreferDualStack when multiple cluster IPs are specified")}
	case len(s.Spec.IPFamilies) == 2:
		return field.ErrorList{field.Invalid(at, ptr.Deref(policy, ""), "must be RequireDualStack or PreferDualStack when multiple IP families are specified")}
	}
	return nil
}

func familiesOf(ips []string) []corev1.IPFamily {
	var found []corev1.IPFamily
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip); err == nil {
			found = append(found, familyOf(a))
		}
	}
	return found
}
