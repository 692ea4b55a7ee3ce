package networkpolicy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

// kept is what a changed policy may have because it had it before.
type kept struct {
	selectors metavalidation.LabelSelectorValidationOptions
	ranges    []string
}

func validateNew(p *policy) field.ErrorList { return kept{}.validate(&p.Spec) }

func validateChange(p, old *policy) field.ErrorList {
	var k kept
	k.selectors.AllowInvalidLabelValueInSelector = metavalidation.LabelSelectorHasInvalidLabelValue(&old.Spec.PodSelector)
	for _, peer := range peers(&old.Spec) {
		if peer.IPBlock != nil {
			k.ranges = append(append(k.ranges, peer.IPBlock.CIDR), peer.IPBlock.Except...)
		}
	}
	return k.validate(&p.Spec)
}

func peers(s *networkingv1.NetworkPolicySpec) (all []networkingv1.NetworkPolicyPeer) {
	for _, rule := range s.Ingress {
		all = append(all, rule.From...)
	}
	for _, rule := range s.Egress {
		all = append(all, rule.To...)
	}
	return all
}

func (k kept) validate(s *networkingv1.NetworkPolicySpec) field.ErrorList {
	spec := field.NewPath("spec")
	errs := metavalidation.ValidateLabelSelector(&s.PodSelector, k.selectors, spec.Child("podSelector"))
	rule := func(ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer, at *field.Path, side string) {
		for i := range ports {
			errs = append(errs, validatePort(&ports[i], at.Child("ports").Index(i))...)
		}
		for i := range peers {
			errs = append(errs, k.validatePeer(&peers[i], at.Child(side).Index(i))...)
		}
	}
	for i, r := range s.Ingress {
		rule(r.Ports, r.From, spec.Child("ingress").Index(i), "from")
	}
	for i, r := range s.Egress {
		rule(r.Ports, r.To, spec.Child("egress").Index(i), "to")
	}
	types := spec.Child("policyTypes")
	if len(s.PolicyTypes) > 2 {
		return append(errs, field.Invalid(types, s.PolicyTypes, "may not specify more than two policyTypes"))
	}
	for i, t := range s.PolicyTypes {
		errs = append(errs, check.SupportedIfSet(types.Index(i), &t, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)...)
	}
	return errs
}

func validatePort(p *networkingv1.NetworkPolicyPort, at *field.Path) field.ErrorList {
	errs := check.SupportedIfSet(at.Child("protocol"), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
	port, end := at.Child("port"), at.Child("endPort")
	wrongEnd := func(message string) { errs = append(errs, field.Invalid(end, *p.EndPort, message)) }
	switch {
	case p.Port == nil:
		if p.EndPort != nil {
			wrongEnd("may not be specified when `port` is not specified")
		}
	case p.Port.Type == intstr.String:
		if p.EndPort != nil {
			wrongEnd("may not be specified when `port` is non-numeric")
		}
		errs = append(errs, check.Messages(validation.IsValidPortName(p.Port.StrVal), p.Port.StrVal, port)...)
	default:
		errs = append(errs, check.Messages(validation.IsValidPortNum(int(p.Port.IntVal)), p.Port.IntVal, port)...)
		if p.EndPort != nil {
			if *p.EndPort < p.Port.IntVal {
				wrongEnd("must be greater than or equal to `port`")
			}
			errs = append(errs, check.Messages(validation.IsValidPortNum(int(*p.EndPort)), *p.EndPort, end)...)
		}
	}
	return errs
}

func (k kept) validatePeer(p *networkingv1.NetworkPolicyPeer, at *field.Path) (errs field.ErrorList) {
	selector := func(s *metav1.LabelSelector, name string) {
		if s != nil {
			errs = append(errs, metavalidation.ValidateLabelSelector(s, k.selectors, at.Child(name))...)
		}
	}
	selector(p.PodSelector, "podSelector")
	selector(p.NamespaceSelector, "namespaceSelector")
	selects := p.PodSelector != nil || p.NamespaceSelector != nil
	if p.IPBlock == nil {
		if !selects {
			errs = append(errs, field.Required(at, "must specify a peer"))
		}
		return errs
	}
	errs = append(errs, k.validateBlock(p.IPBlock, at.Child("ipBlock"))...)
	if selects {
		errs = append(errs, field.Forbidden(at, "may not specify both ipBlock and another peer"))
	}
	return errs
}

func (k kept) validateBlock(b *networkingv1.IPBlock, at *field.Path) field.ErrorList {
	if b.CIDR == "" {
		return field.ErrorList{field.Required(at.Child("cidr"), "")}
	}
	errs := validation.IsValidCIDRForLegacyField(at.Child("cidr"), b.CIDR, true, k.ranges)
	whole, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return errs
	}
	for i, text := range b.Except {
		one := at.Child("except").Index(i)
		errs = append(errs, validation.IsValidCIDRForLegacyField(one, text, true, k.ranges)...)
		part, err := netip.ParsePrefix(text)
		if err == nil && (!whole.Contains(part.Addr()) || whole.Bits() >= part.Bits()) {
			errs = append(errs, field.Invalid(one, text, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
