package service

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// What services do not do here yet.
const (
	unrouted = "spec.type: Laterna routes nothing to services yet: no address and no node port of this one leads anywhere"
	unnamed  = "spec.type: Laterna answers no DNS names of services yet: nobody finds this one by its name"
)

// warnings returns what is allowed in a service and still likely a mistake, and, where a
// service is new or of a new type, what it does not do. old is nil for a new service.
func warnings(s, old *corev1.Service) []string {
	spec := field.NewPath("spec")
	var all []string
	if old == nil || old.Spec.Type != s.Spec.Type {
		switch {
		case s.Namespace == metav1.NamespaceDefault && s.Name == "kubernetes":
		case takesAddress(s):
			all = append(all, unrouted)
		default:
			all = append(all, unnamed)
		}
	}
	if s.Spec.Type != corev1.ServiceTypeExternalName && s.Spec.ExternalName != "" {
		all = append(all, `spec.externalName is ignored when spec.type is not "ExternalName"`)
	}
	if len(s.Spec.ExternalIPs) > 0 && (old == nil || !slices.Equal(old.Spec.ExternalIPs, s.Spec.ExternalIPs)) {
		all = append(all, "spec.externalIPs is deprecated and may no longer be implemented in some clusters")
	}
	if ptr.Deref(s.Spec.TrafficDistribution, "") == corev1.ServiceTrafficDistributionPreferClose {
		all = append(all, "spec.trafficDistribution: PreferClose is deprecated; use PreferSameZone")
	}
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
