package service

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// unbalanced is what services do not do here.
const unbalanced = "spec.type: Laterna makes no load balancers: the service is reached by its cluster IP and its node ports, and has no external address until something else gives it one"

// warnings returns what is allowed in a service and still likely a mistake, and, where a
// service is new or of a new type, what it does not do. old is nil for a new service.
func warnings(s, old *corev1.Service) []string {
	var all []string
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && (old == nil || old.Spec.Type != s.Spec.Type) {
		all = append(all, unbalanced)
	}
	if _, ok := s.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; ok {
		all = append(all, fmt.Sprintf("annotation %s is deprecated, please use %s instead", corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode))
	}
	all = append(all, ignored(&s.Spec)...)
	if ptr.Deref(s.Spec.TrafficDistribution, "") == corev1.ServiceTrafficDistributionPreferClose {
		all = append(all, `spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`)
	}
	return append(all, spellings(s)...)
}

// ignored returns which fields of a service of that type mean nothing, or soon will.
func ignored(spec *corev1.ServiceSpec) (all []string) {
	external := spec.Type == corev1.ServiceTypeExternalName
	headless := spec.Type == corev1.ServiceTypeClusterIP && spec.ClusterIP == corev1.ClusterIPNone
	for _, w := range []struct {
		when bool
		text string
	}{
		{headless && spec.LoadBalancerIP != "", "spec.loadBalancerIP is ignored for headless services"},
		{headless && len(spec.ExternalIPs) > 0, "spec.externalIPs is ignored for headless services"},
		{headless && spec.SessionAffinity != corev1.ServiceAffinityNone, "spec.SessionAffinity is ignored for headless services"},
		{!headless && !external && len(spec.ExternalIPs) > 0, "spec.externalIPs is deprecated and may no longer be implemented in some clusters"},
		{external && len(spec.ExternalIPs) > 0, `spec.externalIPs is ignored when spec.type is "ExternalName"`},
		{!external && spec.ExternalName != "", `spec.externalName is ignored when spec.type is not "ExternalName"`},
	} {
		if w.when {
			all = append(all, w.text)
		}
	}
	return all
}

// spellings warns of addresses that not everybody reads alike.
func spellings(s *corev1.Service) (all []string) {
	spec := field.NewPath("spec")
	if takesAddress(s) {
		for i, ip := range s.Spec.ClusterIPs {
			all = append(all, validation.GetWarningsForIP(spec.Child("clusterIPs").Index(i), ip)...)
		}
	}
	for i, ip := range s.Spec.ExternalIPs {
		all = append(all, validation.GetWarningsForIP(spec.Child("externalIPs").Index(i), ip)...)
	}
	if s.Spec.LoadBalancerIP != "" {
		all = append(all, validation.GetWarningsForIP(spec.Child("loadBalancerIP"), s.Spec.LoadBalancerIP)...)
	}
	for i, cidr := range s.Spec.LoadBalancerSourceRanges {
		all = append(all, validation.GetWarningsForCIDR(spec.Child("loadBalancerSourceRanges").Index(i), cidr)...)
	}
	return all
}

// statusWarnings is spellings of the addresses of a load balancer.
func statusWarnings(s *corev1.Service) (all []string) {
	at := field.NewPath("status", "loadBalancer", "ingress")
	for i, ingress := range s.Status.LoadBalancer.Ingress {
		if ingress.IP != "" {
			all = append(all, validation.GetWarningsForIP(at.Index(i), ingress.IP)...)
		}
	}
	return all
}
