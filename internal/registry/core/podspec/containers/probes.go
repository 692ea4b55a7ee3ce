package containers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/check"
)

func validateProbes(c *corev1.Container, path *field.Path) field.ErrorList {
	errs := validateProbe(c.LivenessProbe, path.Child("livenessProbe"), true)
	if p := c.ReadinessProbe; p != nil {
		at := path.Child("readinessProbe")
		errs = append(errs, validateProbe(p, at, false)...)
		if p.TerminationGracePeriodSeconds != nil {
			errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), p.TerminationGracePeriodSeconds, "must not be set for readinessProbes"))
		}
	}
	return append(errs, validateProbe(c.StartupProbe, path.Child("startupProbe"), true)...)
}

// validateProbe checks a probe; once is true for the kinds that one success ends.
func validateProbe(p *corev1.Probe, path *field.Path, once bool) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := handler{Exec: p.Exec, HTTPGet: p.HTTPGet, TCPSocket: p.TCPSocket, GRPC: p.GRPC}.validate(path)
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"initialDelaySeconds", p.InitialDelaySeconds}, {"timeoutSeconds", p.TimeoutSeconds}, {"periodSeconds", p.PeriodSeconds},
		{"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold},
	} {
		errs = append(errs, check.NonNegative(int64(f.value), path.Child(f.name))...)
	}
	if g := p.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		errs = append(errs, field.Invalid(path.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0"))
	}
	if once && p.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(path.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
	}
	return errs
}

func validateLifecycle(l *corev1.Lifecycle, spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		h    *corev1.LifecycleHandler
	}{{"postStart", l.PostStart}, {"preStop", l.PreStop}} {
		if f.h != nil {
			h := handler{Exec: f.h.Exec, HTTPGet: f.h.HTTPGet, TCPSocket: f.h.TCPSocket, Sleep: f.h.Sleep, grace: spec.TerminationGracePeriodSeconds}
			errs = append(errs, h.validate(path.Child(f.name))...)
		}
	}
	if l.StopSignal != nil {
		errs = append(errs, validateStopSignal(*l.StopSignal, spec.OS, path.Child("stopSignal"))...)
	}
	return errs
}

// handler is what probes and lifecycle hooks run: exactly one of its members.
type handler struct {
	Exec      *corev1.ExecAction
	HTTPGet   *corev1.HTTPGetAction
	TCPSocket *corev1.TCPSocketAction
	GRPC      *corev1.GRPCAction
	Sleep     *corev1.SleepAction
	grace     *int64
}

func (h handler) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	handlers := 0
	add := func(set bool, name string, check func(at *field.Path) field.ErrorList) {
		if !set {
			return
		}
		if handlers++; handlers > 1 {
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 handler type"))
			return
		}
		errs = append(errs, check(path.Child(name))...)
	}
	add(h.Exec != nil, "exec", func(at *field.Path) field.ErrorList {
		return check.RequiredList(len(h.Exec.Command), at.Child("command"))
	})
	add(h.HTTPGet != nil, "httpGet", h.validateHTTPGet)
	add(h.TCPSocket != nil, "tcpSocket", func(at *field.Path) field.ErrorList {
		return validatePort(h.TCPSocket.Port, at.Child("port"))
	})
	add(h.GRPC != nil, "grpc", func(at *field.Path) field.ErrorList {
		return validatePort(intstr.FromInt32(h.GRPC.Port), at.Child("port"))
	})
	add(h.Sleep != nil, "sleep", h.validateSleep)
	if handlers == 0 {
		errs = append(errs, field.Required(path, "must specify a handler type"))
	}
	return errs
}

func (h handler) validateHTTPGet(path *field.Path) field.ErrorList {
	errs := check.Required(h.HTTPGet.Path, path.Child("path"))
	errs = append(errs, validatePort(h.HTTPGet.Port, path.Child("port"))...)
	errs = append(errs, check.SupportedIfSet(path.Child("scheme"), &h.HTTPGet.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
	for _, header := range h.HTTPGet.HTTPHeaders {
		errs = append(errs, check.Messages(validation.IsHTTPHeaderName(header.Name), header.Name, path.Child("httpHeaders"))...)
	}
	return errs
}

func (h handler) validateSleep(path *field.Path) field.ErrorList {
	if h.grace != nil && (h.Sleep.Seconds < 0 || h.Sleep.Seconds > *h.grace) {
		return field.ErrorList{field.Invalid(path, h.Sleep.Seconds,
			fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *h.grace))}
	}
	return nil
}

func validatePort(port intstr.IntOrString, path *field.Path) field.ErrorList {
	switch port.Type {
	case intstr.Int:
		return check.Messages(validation.IsValidPortNum(port.IntValue()), port.IntValue(), path)
	case intstr.String:
		return check.Messages(validation.IsValidPortName(port.StrVal), port.StrVal, path)
	}
	return field.ErrorList{field.InternalError(path, fmt.Errorf("unknown type: %v", port.Type))}
}
