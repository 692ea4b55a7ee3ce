package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	families = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	policies = []corev1.IPFamilyPolicy{
		corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack,
	}
	externalPolicies = []corev1.ServiceExternalTrafficPolicy{
		corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal,
	}
	internalPolicies = []corev1.ServiceInternalTrafficPolicy{
		corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal,
	}
	distributions = []string{
		corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode,
	}
	ipModes = []corev1.LoadBalancerIPMode{corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP}
)

// validateAddresses checks clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy,
// alone and against each other.
func validateAddresses(s *corev1.Service, spec *field.Path) field.ErrorList {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	at, ips := spec.Child("clusterIPs"), s.Spec.ClusterIPs
	var errs field.ErrorList
	switch {
	case s.Spec.ClusterIP == "" && len(ips) > 0:
		errs = append(errs, field.Invalid(at, ips, "must be empty when `clusterIP` is not specified"))
	case s.Spec.ClusterIP != "" && len(ips) == 0:
		errs = append(errs, field.Required(at, ""))
	case s.Spec.ClusterIP != "" && ips[0] != s.Spec.ClusterIP:
		errs = append(errs, field.Invalid(at, ips, "first value must match `clusterIP`"))
	}
	errs = append(errs, validateFamilies(s, spec)...)
	if bad := validateClusterIPs(ips, at); len(bad) > 0 {
		return append(errs, bad...)
	}
	if len(ips) > 2 {
		errs = append(errs, field.Invalid(at, ips, "may only hold up to 2 values"))
	}
	if len(ips) > 1 && !dual(ips) {
		errs = append(errs, field.Invalid(at, ips, "may specify no more than one IP for each IP family"))
	}
	if headless(s) {
		return errs
	}
	for i, ip := range ips[:min(len(ips), len(s.Spec.IPFamilies))] {
		if want := s.Spec.IPFamilies[i]; slices.Contains(families, want) && familyOf(netip.MustParseAddr(ip)) != want {
			errs = append(errs, field.Invalid(at.Index(i), ip, fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%v]`", want, i)))
		}
	}
	return errs
}

func validateFamilies(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.IPFamily]bool{}
	for i, f := range s.Spec.IPFamilies {
		at := spec.Child("ipFamilies").Index(i)
		if !slices.Contains(families, f) {
			errs = append(errs, field.NotSupported(at, f, families))
		}
		if seen[f] {
			errs = append(errs, field.Duplicate(at, f))
		}
		seen[f] = true
	}
	if p := s.Spec.IPFamilyPolicy; p != nil && !slices.Contains(policies, *p) {
		errs = append(errs, field.NotSupported(spec.Child("ipFamilyPolicy"), *p, policies))
	}
	return errs
}

func validateClusterIPs(ips []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range ips {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(ips) > 1 {
				errs = append(errs, field.Invalid(at, ips, "'None' must be the first and only value"))
			}
			continue
		}
		errs = append(errs, validateIP(ip, at.Index(i))...)
	}
	return errs
}

// validateIP accepts what both the API's rules and net/netip accept.
func validateIP(ip string, at *field.Path) field.ErrorList {
	if errs := validation.IsValidIPForLegacyField(at, ip, true, nil); len(errs) > 0 {
		return errs
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return field.ErrorList{field.Invalid(at, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")}
	}
	return nil
}

// dual reports whether two addresses are of different families.
func dual(ips []string) bool {
	return familyOf(netip.MustParseAddr(ips[0])) != familyOf(netip.MustParseAddr(ips[1]))
}

func validateExternalIP(ip string, at *field.Path) field.ErrorList {
	if errs := validateIP(ip, at); len(errs) > 0 {
		return errs
	}
	var msgs []string
	switch a := netip.MustParseAddr(ip); {
	case a.IsUnspecified():
		msgs = append(msgs, fmt.Sprintf("may not be unspecified (%v)", ip))
	case a.IsLoopback():
		msgs = append(msgs, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
	case a.IsLinkLocalUnicast():
		msgs = append(msgs, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
	case a.IsLinkLocalMulticast():
		msgs = append(msgs, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
	}
	return invalid(at, ip, msgs)
}

func validateBalancerFields(s *corev1.Service, spec *field.Path) field.ErrorList {
	const only = "may only be used when `type` is 'LoadBalancer'"
	var errs field.ErrorList
	balanced := s.Spec.Type == corev1.ServiceTypeLoadBalancer
	at, ranges := spec.Child("LoadBalancerSourceRanges"), s.Spec.LoadBalancerSourceRanges
	index := at.Index
	if text, ok := s.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]; ok && len(ranges) == 0 {
		at = field.NewPath("metadata", "annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
		index = func(int) *field.Path { return at }
		if strings.TrimSpace(text) != "" {
			ranges = strings.Split(text, ",")
		}
		if !balanced {
			errs = append(errs, field.Forbidden(at, only))
		}
	} else if len(ranges) > 0 && !balanced {
		errs = append(errs, field.Forbidden(at, only))
	}
	for i, cidr := range ranges {
		// Spaces around a value are an old habit of the annotation form.
		errs = append(errs, validation.IsValidCIDRForLegacyField(index(i), strings.TrimSpace(cidr), true, nil)...)
	}
	allocate := s.Spec.AllocateLoadBalancerNodePorts
	if allocate != nil && !balanced {
		errs = append(errs, field.Forbidden(spec.Child("allocateLoadBalancerNodePorts"), only))
	}
	if allocate == nil && balanced {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	class := spec.Child("loadBalancerClass")
	switch {
	case s.Spec.LoadBalancerClass == nil:
	case !balanced:
		errs = append(errs, field.Forbidden(class, only))
	default:
		errs = append(errs, qualified(*s.Spec.LoadBalancerClass, class)...)
	}
	return errs
}

func validateTraffic(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	at, policy := spec.Child("externalTrafficPolicy"), s.Spec.ExternalTrafficPolicy
	switch {
	case !external(s) && policy != "":
		errs = append(errs, field.Invalid(at, policy, "may only be set for externally-accessible services"))
	case external(s) && policy == "":
		errs = append(errs, field.Required(at, ""))
	case external(s) && !slices.Contains(externalPolicies, policy):
		errs = append(errs, field.NotSupported(at, policy, externalPolicies))
	}
	check := spec.Child("healthCheckNodePort")
	switch port := s.Spec.HealthCheckNodePort; {
	case !needsHealthCheck(s) && port != 0:
		errs = append(errs, field.Invalid(check, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	case needsHealthCheck(s) && port == 0:
		errs = append(errs, field.Required(check, ""))
	case needsHealthCheck(s):
		for _, msg := range validation.IsValidPortNum(int(port)) {
			errs = append(errs, field.Invalid(check, port, msg))
		}
	}
	at, inside := spec.Child("internalTrafficPolicy"), s.Spec.InternalTrafficPolicy
	switch {
	case inside == nil && s.Spec.Type != corev1.ServiceTypeExternalName:
		errs = append(errs, field.Required(at, ""))
	case inside != nil && !slices.Contains(internalPolicies, *inside):
		errs = append(errs, field.NotSupported(at, *inside, internalPolicies))
	}
	if d := s.Spec.TrafficDistribution; d != nil && !slices.Contains(distributions, *d) {
		errs = append(errs, field.NotSupported(spec.Child("trafficDistribution"), *d, distributions))
	}
	return errs
}

// validateLoadBalancer checks status.loadBalancer.
func validateLoadBalancer(s *corev1.Service) field.ErrorList {
	at := field.NewPath("status", "loadBalancer", "ingress")
	if len(s.Status.LoadBalancer.Ingress) > 0 && s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return field.ErrorList{field.Forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")}
	}
	var errs field.ErrorList
	for i, ingress := range s.Status.LoadBalancer.Ingress {
		each := at.Index(i)
		mode := each.Child("ipMode")
		switch {
		case ingress.IPMode == nil && ingress.IP != "":
			errs = append(errs, field.Required(mode, "must be specified when `ip` is set"))
		case ingress.IPMode != nil && ingress.IP == "":
			errs = append(errs, field.Forbidden(mode, "may not be specified when `ip` is not set"))
		case ingress.IPMode != nil && !slices.Contains(ipModes, *ingress.IPMode):
			errs = append(errs, field.NotSupported(mode, *ingress.IPMode, ipModes))
		}
		if ingress.IP != "" {
			errs = append(errs, validateIP(ingress.IP, each.Child("ip"))...)
		}
		if name := ingress.Hostname; name != "" {
			errs = append(errs, invalid(each.Child("hostname"), name, validation.IsDNS1123Subdomain(name))...)
			if _, err := netip.ParseAddr(name); err == nil {
				errs = append(errs, field.Invalid(each.Child("hostname"), name, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}
