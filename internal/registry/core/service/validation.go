package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	types = []corev1.ServiceType{
		corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort,
	}
	affinities = []corev1.ServiceAffinity{corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone}
	protocols  = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
)

// validate checks a service that has been given its addresses and ports.
func validate(s *corev1.Service) field.ErrorList {
	spec := field.NewPath("spec")
	errs := append(validateHints(s), validateType(s, spec)...)
	errs = append(errs, validatePorts(s, spec.Child("ports"))...)
	errs = append(errs, metavalidation.ValidateLabels(s.Spec.Selector, spec.Child("selector"))...)
	errs = append(errs, validateAffinity(s, spec)...)
	errs = append(errs, validateAddresses(s, spec)...)
	for i, ip := range s.Spec.ExternalIPs {
		errs = append(errs, validateExternalIP(ip, spec.Child("externalIPs").Index(i))...)
	}
	errs = append(errs, validateBalancerFields(s, spec)...)
	return append(errs, validateTraffic(s, spec)...)
}

// validateHints wants the two annotations of one meaning to say the same.
func validateHints(s *corev1.Service) field.ErrorList {
	hints, hinted := s.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	mode, set := s.Annotations[corev1.AnnotationTopologyMode]
	if !hinted || !set || hints == mode {
		return nil
	}
	at := field.NewPath("metadata", "annotations").Key(corev1.AnnotationTopologyMode)
	return field.ErrorList{field.Invalid(at, mode, fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints))}
}

func validateType(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	kind := s.Spec.Type
	if len(s.Spec.Ports) == 0 && !headless(s) && kind != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	switch {
	case kind == "":
		errs = append(errs, field.Required(spec.Child("type"), ""))
	case !slices.Contains(types, kind):
		errs = append(errs, field.NotSupported(spec.Child("type"), kind, types))
	case kind == corev1.ServiceTypeExternalName:
		errs = append(errs, validateExternalName(s, spec)...)
	case kind != corev1.ServiceTypeClusterIP && headless(s):
		msg := fmt.Sprintf("may not be set to 'None' for %s services", kind)
		errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.Spec.ClusterIPs[0], msg))
	}
	return errs
}

func validateExternalName(s *corev1.Service, spec *field.Path) field.ErrorList {
	const message = "may not be set for ExternalName services"
	var errs field.ErrorList
	if len(s.Spec.ClusterIPs) > 0 || s.Spec.ClusterIP != "" {
		errs = append(errs, field.Forbidden(spec.Child("clusterIPs"), message))
	}
	if len(s.Spec.IPFamilies) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ipFamilies"), message))
	}
	if s.Spec.IPFamilyPolicy != nil {
		errs = append(errs, field.Forbidden(spec.Child("ipFamilyPolicy"), message))
	}
	at := spec.Child("externalName")
	name := strings.TrimSuffix(s.Spec.ExternalName, ".")
	if name == "" {
		return append(errs, field.Required(at, ""))
	}
	return append(errs, invalid(at, name, validation.IsDNS1123Subdomain(name))...)
}

func validatePorts(s *corev1.Service, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	type key struct {
		protocol corev1.Protocol
		number   int32
	}
	names, ports, nodePorts := map[string]bool{}, map[key]bool{}, map[key]bool{}
	for i, port := range s.Spec.Ports {
		each := at.Index(i)
		errs = append(errs, validatePort(port, len(s.Spec.Ports) > 1, each)...)
		if port.Name != "" && names[port.Name] {
			errs = append(errs, field.Duplicate(each.Child("name"), port.Name))
		}
		names[port.Name] = true
		if k := (key{port.Protocol, port.NodePort}); port.NodePort != 0 {
			if s.Spec.Type == corev1.ServiceTypeClusterIP {
				errs = append(errs, field.Forbidden(each.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
			}
			if nodePorts[k] {
				errs = append(errs, field.Duplicate(each.Child("nodePort"), port.NodePort))
			}
			nodePorts[k] = true
		}
		k := key{port.Protocol, port.Port}
		if ports[k] {
			errs = append(errs, field.Duplicate(each, corev1.ServicePort{Protocol: port.Protocol, Port: port.Port}))
		}
		ports[k] = true
	}
	return errs
}

func validatePort(port corev1.ServicePort, named bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case port.Name != "":
		errs = invalid(at.Child("name"), port.Name, validation.IsDNS1123Label(port.Name))
	case named:
		errs = field.ErrorList{field.Required(at.Child("name"), "")}
	}
	for _, msg := range validation.IsValidPortNum(int(port.Port)) {
		errs = append(errs, field.Invalid(at.Child("port"), port.Port, msg))
	}
	switch {
	case port.Protocol == "":
		errs = append(errs, field.Required(at.Child("protocol"), ""))
	case !slices.Contains(protocols, port.Protocol):
		errs = append(errs, field.NotSupported(at.Child("protocol"), port.Protocol, protocols))
	}
	target := at.Child("targetPort")
	if port.TargetPort.Type == intstr.String {
		errs = append(errs, invalid(target, port.TargetPort.StrVal, validation.IsValidPortName(port.TargetPort.StrVal))...)
	} else {
		for _, msg := range validation.IsValidPortNum(port.TargetPort.IntValue()) {
			errs = append(errs, field.Invalid(target, port.TargetPort.IntValue(), msg))
		}
	}
	if port.AppProtocol != nil {
		errs = append(errs, qualified(*port.AppProtocol, at.Child("appProtocol"))...)
	}
	return errs
}

func validateAffinity(s *corev1.Service, spec *field.Path) field.ErrorList {
	at := spec.Child("sessionAffinityConfig")
	config := s.Spec.SessionAffinityConfig
	switch a := s.Spec.SessionAffinity; {
	case a == "":
		return field.ErrorList{field.Required(spec.Child("sessionAffinity"), "")}
	case !slices.Contains(affinities, a):
		return field.ErrorList{field.NotSupported(spec.Child("sessionAffinity"), a, affinities)}
	case a == corev1.ServiceAffinityNone && config != nil:
		return field.ErrorList{field.Forbidden(at, fmt.Sprintf("must not be set when session affinity is %s", a))}
	case a == corev1.ServiceAffinityNone:
		return nil
	}
	const when = "when session affinity type is ClientIP"
	const most = 86400
	switch {
	case config == nil:
		return field.ErrorList{field.Required(at, when)}
	case config.ClientIP == nil:
		return field.ErrorList{field.Required(at.Child("clientIP"), when)}
	case config.ClientIP.TimeoutSeconds == nil:
		return field.ErrorList{field.Required(at.Child("clientIP").Child("timeoutSeconds"), when)}
	}
	if seconds := *config.ClientIP.TimeoutSeconds; seconds <= 0 || seconds > most {
		msg := fmt.Sprintf("must be greater than 0 and less than %d", most)
		return field.ErrorList{field.Invalid(at.Child("clientIP").Child("timeoutSeconds"), seconds, msg)}
	}
	return nil
}

func invalid(at *field.Path, value string, msgs []string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range msgs {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}

func qualified(name string, at *field.Path) field.ErrorList {
	return invalid(at, name, validation.IsQualifiedName(name))
}
