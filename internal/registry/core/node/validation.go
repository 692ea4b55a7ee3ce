package node

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// validate checks taints, pod CIDRs and quantities. Upstream reports taints under
// metadata.taints.
func validate(n *corev1.Node) field.ErrorList {
	errs := validateTaints(n.Spec.Taints, field.NewPath("metadata", "taints"))
	errs = append(errs, validateResources(n)...)
	return append(errs, validatePodCIDRs(n.Spec.PodCIDRs, field.NewPath("spec", "podCIDRs"))...)
}

// validateUpdate checks what may not change: pod CIDRs and provider once set.
func validateUpdate(n, old *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateResources(n)
	if len(old.Spec.PodCIDRs) > 0 && !slices.Equal(n.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), `node updates may not change podCIDR except from "" to valid`))
	}
	if old.Spec.ProviderID != "" && n.Spec.ProviderID != old.Spec.ProviderID {
		errs = append(errs, field.Forbidden(spec.Child("providerID"), `node updates may not change providerID except from "" to valid`))
	}
	errs = append(errs, validateTaints(n.Spec.Taints, field.NewPath("metadata", "taints"))...)
	if n.Spec.DoNotUseExternalID != old.Spec.DoNotUseExternalID {
		errs = append(errs, field.Forbidden(spec.Child("externalID"), "may not be updated"))
	}
	return errs
}

func validateTaints(taints []corev1.Taint, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[[2]string]bool{}
	for i, taint := range taints {
		each := at.Index(i)
		errs = append(errs, metavalidation.ValidateLabelName(taint.Key, each.Child("key"))...)
		if msgs := validation.IsValidLabelValue(taint.Value); len(msgs) > 0 {
			errs = append(errs, field.Invalid(each.Child("value"), taint.Value, strings.Join(msgs, ";")))
		}
		errs = append(errs, validateEffect(taint.Effect, each.Child("effect"))...)
		id := [2]string{taint.Key, string(taint.Effect)}
		if seen[id] {
			twice := field.Duplicate(each, taint)
			twice.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, twice)
		}
		seen[id] = true
	}
	return errs
}

var effects = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}

func validateEffect(effect corev1.TaintEffect, at *field.Path) field.ErrorList {
	switch {
	case slices.Contains(effects, effect):
		return nil
	case effect == "":
		return field.ErrorList{field.Required(at, "")}
	}
	return field.ErrorList{field.NotSupported(at, effect, effects)}
}

func validatePodCIDRs(cidrs []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, cidr := range cidrs {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at.Index(i), cidr, true, nil)...)
		if seen[cidr] {
			errs = append(errs, field.Duplicate(at.Index(i), cidr))
		}
		seen[cidr] = true
	}
	if len(cidrs) < 2 || len(errs) > 0 {
		return errs
	}
	if dual, err := netutils.IsDualStackCIDRStrings(cidrs); err != nil || !dual || len(cidrs) > 2 {
		errs = append(errs, field.Invalid(at, cidrs, "may specify no more than one CIDR for each IP family"))
	}
	return errs
}

func validateResources(n *corev1.Node) field.ErrorList {
	status := field.NewPath("status")
	errs := validateQuantities(n.Status.Capacity, status.Child("capacity"))
	return append(errs, validateQuantities(n.Status.Allocatable, status.Child("allocatable"))...)
}

func validateQuantities(list corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity, each := list[name], at.Child(string(name))
		if quantity.Sign() < 0 {
			errs = append(errs, field.Invalid(each, quantity.String(), "must be greater than or equal to 0"))
		}
		if wholeNumbers(name) && quantity.MilliValue()%1000 != 0 {
			errs = append(errs, field.Invalid(each, quantity.String(), "must be an integer"))
		}
	}
	return errs
}

// wholeNumbers reports whether a resource is counted: pods, and what vendors add
// under a domain of their own.
func wholeNumbers(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return name == corev1.ResourcePods || qualified && !strings.HasSuffix(domain, "kubernetes.io")
}
