package service

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// fixed is said of what stays as it is once it is set.
const fixed = "may not change once set"

// validateChange checks what may not change: addresses and their families while
// the service has one, the class of a load balancer, the health check's port.
func validateChange(s, old *corev1.Service) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if s.Spec.Type != corev1.ServiceTypeExternalName && old.Spec.Type != corev1.ServiceTypeExternalName && !(headless(s) && headless(old)) {
		errs = append(errs, validateOrder(s, spec.Child("clusterIPs"), old.Spec.ClusterIPs, s.Spec.ClusterIPs, "clusterIP")...)
		if headless(s) == headless(old) {
			errs = append(errs, validateOrder(s, spec.Child("ipFamilies"), old.Spec.IPFamilies, s.Spec.IPFamilies, "ipFamily")...)
		}
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && old.Spec.Type == corev1.ServiceTypeLoadBalancer && !ptr.Equal(s.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
		errs = append(errs, field.Invalid(spec.Child("loadBalancerClass"), s.Spec.LoadBalancerClass, fixed))
	}
	if needsHealthCheck(s) && needsHealthCheck(old) && s.Spec.HealthCheckNodePort != old.Spec.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(spec.Child("healthCheckNodePort"), "field is immutable"))
	}
	return errs
}

// validateOrder lets a second value come, and go where the policy says so; the others stay.
func validateOrder[T ~string](s *corev1.Service, at *field.Path, was, is []T, what string) (errs field.ErrorList) {
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] && (i == 0 || len(was) == len(is)) {
			errs = append(errs, field.Invalid(at.Index(i), is, fixed))
		}
	}
	if len(is) == 0 && len(was) > 0 {
		errs = append(errs, field.Invalid(at.Index(0), is, "primary "+what+" can not be unset"))
	}
	if policy := s.Spec.IPFamilyPolicy; len(is) == 1 && len(was) > 1 && ptr.Deref(policy, "") != corev1.IPFamilyPolicySingleStack {
		errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilyPolicy"), policy, "must be set to 'SingleStack' when releasing the secondary "+what))
	}
	return errs
}
