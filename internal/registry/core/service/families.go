package service

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// settleFamilies fills in ipFamilies and ipFamilyPolicy for a cluster of one
// family, and refuses what such a cluster cannot give. It wants a settled service; old is
// nil for a new one.
func settleFamilies(s, old *corev1.Service, family corev1.IPFamily) field.ErrorList {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	free := headless(s) && len(s.Spec.Selector) == 0
	if s.Spec.IPFamilyPolicy == nil {
		s.Spec.IPFamilyPolicy = policyFor(old, free)
	}
	errs := settleSecond(s, old)
	errs = append(errs, inferFamilies(s, family)...)
	if len(errs) > 0 {
		return errs
	}
	if free {
		settleFree(s, family)
		return nil
	}
	at, policy := field.NewPath("spec"), *s.Spec.IPFamilyPolicy
	if policy == corev1.IPFamilyPolicyRequireDualStack {
		errs = append(errs, field.Invalid(at.Child("ipFamilyPolicy"), policy, "this cluster is not configured for dual-stack services"))
	}
	for i, f := range s.Spec.IPFamilies {
		if f != family {
			errs = append(errs, field.Invalid(at.Child("ipFamilies").Index(i), f, "not configured on this cluster"))
		}
	}
	if len(errs) == 0 && len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = []corev1.IPFamily{family}
	}
	return errs
}

// policyFor is the policy of a service that names none: the one that it had, so that a
// change of addresses alone never makes it one of two families.
func policyFor(old *corev1.Service, free bool) *corev1.IPFamilyPolicy {
	switch {
	case old != nil && old.Spec.IPFamilyPolicy != nil:
		return ptr.To(*old.Spec.IPFamilyPolicy)
	case free:
		return ptr.To(corev1.IPFamilyPolicyRequireDualStack)
	}
	return ptr.To(corev1.IPFamilyPolicySingleStack)
}

// settleSecond drops the second family of a service that is to be of one, and refuses
// policies that do not agree with how many there are.
func settleSecond(s, old *corev1.Service) (errs field.ErrorList) {
	at, spec := field.NewPath("spec", "ipFamilyPolicy"), &s.Spec
	policy := *spec.IPFamilyPolicy
	refuse := func(why string) { errs = append(errs, field.Invalid(at, policy, why)) }
	single := policy == corev1.IPFamilyPolicySingleStack
	switch {
	case old == nil:
	case single:
		if slices.Equal(spec.ClusterIPs, old.Spec.ClusterIPs) && len(spec.ClusterIPs) > 1 {
			spec.ClusterIPs = spec.ClusterIPs[:1]
		}
		if slices.Equal(spec.IPFamilies, old.Spec.IPFamilies) && len(spec.IPFamilies) > 1 {
			spec.IPFamilies = spec.IPFamilies[:1]
		}
	default:
		if n := len(spec.ClusterIPs); n > 0 && n < len(old.Spec.ClusterIPs) {
			refuse("must be 'SingleStack' to release the secondary cluster IP")
		}
		if n := len(spec.IPFamilies); n > 0 && n < len(old.Spec.IPFamilies) {
			refuse("must be 'SingleStack' to release the secondary IP family")
		}
	}
	if single && len(spec.ClusterIPs) == 2 {
		refuse("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified")
	}
	if single && len(spec.IPFamilies) == 2 {
		refuse("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified")
	}
	return errs
}

// inferFamilies takes the families that are not named from the addresses that are.
func inferFamilies(s *corev1.Service, family corev1.IPFamily) (errs field.ErrorList) {
	for i, ip := range s.Spec.ClusterIPs {
		a, err := netip.ParseAddr(ip)
		if err != nil || i < len(s.Spec.IPFamilies) {
			continue // what is no address, validation words
		}
		f := familyOf(a)
		if f != family {
			at := field.NewPath("spec", "clusterIPs").Index(i)
			errs = append(errs, field.Invalid(at, s.Spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", f)))
			continue
		}
		s.Spec.IPFamilies = append(s.Spec.IPFamilies, f)
	}
	return errs
}

// settleFree handles headless services without a selector: their endpoints are
// made by hand and may be of any family.
func settleFree(s *corev1.Service, family corev1.IPFamily) {
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
