package ingress

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

func validateNew(i *ingress) field.ErrorList {
	errs := validate(&i.Spec, nil)
	if class, ok := i.Annotations[classAnnotation]; ok && i.Spec.IngressClassName != nil && class != *i.Spec.IngressClassName {
		errs = append(errs, field.Invalid(field.NewPath("annotations").Child(classAnnotation), class, "must match `ingressClassName` when both are specified"))
	}
	return errs
}

func validateChange(i, old *ingress) field.ErrorList { return validate(&i.Spec, &old.Spec) }

// validate checks a spec; where it follows another, it may keep secrets' names that are
// none, and odd rules of hosts with a wildcard.
func validate(s, old *networkingv1.IngressSpec) (errs field.ErrorList) {
	at := field.NewPath("spec")
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(at, s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if s.DefaultBackend != nil {
		errs = append(errs, validateBackend(s.DefaultBackend, at.Child("defaultBackend"))...)
	}
	for n, rule := range s.Rules {
		errs = append(errs, validateRule(rule, at.Child("rules").Index(n), oddWildcards(old))...)
	}
	for n, t := range s.TLS {
		one := at.Child("tls").Index(n)
		for h, host := range t.Hosts {
			errs = append(errs, validateHost(host, one.Child("hosts").Index(h))...)
		}
		if t.SecretName != "" && !oddSecrets(old) {
			errs = append(errs, check.Subdomain(t.SecretName, one.Child("secretName"))...)
		}
	}
	return append(errs, check.SubdomainIfSet(s.IngressClassName, at.Child("ingressClassName"))...)
}

func oddSecrets(s *networkingv1.IngressSpec) bool {
	if s != nil {
		for _, t := range s.TLS {
			if t.SecretName != "" && len(validation.IsDNS1123Subdomain(t.SecretName)) > 0 {
				return true
			}
		}
	}
	return false
}

func oddWildcards(s *networkingv1.IngressSpec) bool {
	if s != nil {
		for _, rule := range s.Rules {
			if strings.Contains(rule.Host, "*") && rule.HTTP != nil && len(validateHTTP(rule.HTTP, nil)) > 0 {
				return true
			}
		}
	}
	return false
}

func validateHost(host string, at *field.Path) field.ErrorList {
	if strings.Contains(host, "*") {
		return check.Messages(validation.IsWildcardDNS1123Subdomain(host), host, at)
	}
	return check.Subdomain(host, at)
}

func validateRule(rule networkingv1.IngressRule, at *field.Path, oddWildcards bool) (errs field.ErrorList) {
	if rule.Host != "" {
		if _, err := netip.ParseAddr(rule.Host); err == nil {
			errs = append(errs, field.Invalid(at.Child("host"), rule.Host, "must be a DNS name, not an IP address"))
		}
		errs = append(errs, validateHost(rule.Host, at.Child("host"))...)
	}
	if rule.HTTP != nil && (!oddWildcards || !strings.Contains(rule.Host, "*")) {
		errs = append(errs, validateHTTP(rule.HTTP, at.Child("http"))...)
	}
	return errs
}

func validateHTTP(h *networkingv1.HTTPIngressRuleValue, at *field.Path) field.ErrorList {
	errs := check.RequiredList(len(h.Paths), at.Child("paths"))
	for n := range h.Paths {
		errs = append(errs, validatePath(&h.Paths[n], at.Child("paths").Index(n))...)
	}
	return errs
}

func validatePath(p *networkingv1.HTTPIngressPath, at *field.Path) (errs field.ErrorList) {
	if p.PathType == nil {
		return field.ErrorList{field.Required(at.Child("pathType"), "pathType must be specified")}
	}
	wrong := func(message string) { errs = append(errs, field.Invalid(at.Child("path"), p.Path, message)) }
	absolute := strings.HasPrefix(p.Path, "/")
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		if !absolute {
			wrong("must be an absolute path")
		}
		for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(p.Path, part) {
				wrong("must not contain '" + part + "'")
			}
		}
		for _, end := range []string{"/..", "/."} {
			if strings.HasSuffix(p.Path, end) {
				wrong("cannot end with '" + end + "'")
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && !absolute {
			wrong("must be an absolute path")
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("pathType"), *p.PathType, []networkingv1.PathType{
			networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}))
	}
	return append(errs, validateBackend(&p.Backend, at.Child("backend"))...)
}

func validateBackend(b *networkingv1.IngressBackend, at *field.Path) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(at, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return validateReference(b.Resource, at.Child("resource"))
	case b.Service == nil:
		return field.ErrorList{field.Invalid(at, "", "resource or service backend is required")}
	}
	service, port := at.Child("service"), b.Service.Port
	errs := check.Required(b.Service.Name, service.Child("name"))
	if b.Service.Name != "" {
		errs = append(errs, check.Messages(apivalidation.NameIsDNSLabel(b.Service.Name, false), b.Service.Name, service.Child("name"))...)
	}
	switch {
	case port.Name != "" && port.Number != 0:
		errs = append(errs, field.Invalid(at, "", "cannot set both port name & port number"))
	case port.Name != "":
		errs = append(errs, check.Messages(validation.IsValidPortName(port.Name), port.Name, service.Child("port", "name"))...)
	case port.Number != 0:
		errs = append(errs, check.Messages(validation.IsValidPortNum(int(port.Number)), port.Number, service.Child("port", "number"))...)
	default:
		errs = append(errs, field.Required(at, "port name or number is required"))
	}
	return errs
}

func validateReference(r *corev1.TypedLocalObjectReference, at *field.Path) field.ErrorList {
	errs := check.SubdomainIfSet(r.APIGroup, at.Child("apiGroup"))
	return append(errs, check.Referent(r.Kind, r.Name, at)...)
}

func validateStatus(i, old *ingress) (errs field.ErrorList) {
	var known []string
	for _, p := range old.Status.LoadBalancer.Ingress {
		known = append(known, p.IP)
	}
	list := field.NewPath("status", "loadBalancer", "ingress")
	for n, p := range i.Status.LoadBalancer.Ingress {
		if p.IP != "" {
			errs = append(errs, validation.IsValidIPForLegacyField(list.Index(n).Child("ip"), p.IP, true, known)...)
		}
		if p.Hostname != "" {
			at := list.Index(n).Child("hostname")
			errs = append(errs, check.Subdomain(p.Hostname, at)...)
			if _, err := netip.ParseAddr(p.Hostname); err == nil {
				errs = append(errs, field.Invalid(at, p.Hostname, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}
