package containers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/core/podspec/downward"
	"laterna.dev/laterna/internal/registry/core/podspec/imageref"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
)

// HostPorts gives ports without a host port that of the container, as the host network
// does.
func HostPorts(c *corev1.Container) {
	for i := range c.Ports {
		if p := &c.Ports[i]; p.HostPort == 0 {
			p.HostPort = p.ContainerPort
		}
	}
}

// Default fills in what a container, of whatever kind, leaves open.
func Default(c *corev1.Container) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = imageref.DefaultPullPolicy(c.Image)
	}
	if c.TerminationMessagePath == "" {
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if c.TerminationMessagePolicy == "" {
		c.TerminationMessagePolicy = corev1.TerminationMessageReadFile
	}
	for i := range c.Ports {
		if c.Ports[i].Protocol == "" {
			c.Ports[i].Protocol = corev1.ProtocolTCP
		}
	}
	for i := range c.Env {
		defaultEnvSource(c.Env[i].ValueFrom)
	}
	resources.RoundUp(c.Resources.Limits)
	resources.RoundUp(c.Resources.Requests)
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(probe)
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				defaultHTTPGet(h.HTTPGet)
			}
		}
	}
}

func defaultEnvSource(from *corev1.EnvVarSource) {
	if from == nil {
		return
	}
	downward.DefaultFieldRef(from.FieldRef)
	if from.FileKeyRef != nil && from.FileKeyRef.Optional == nil {
		from.FileKeyRef.Optional = ptr.To(false)
	}
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	for _, field := range []struct {
		value *int32
		def   int32
	}{{&p.TimeoutSeconds, 1}, {&p.PeriodSeconds, 10}, {&p.SuccessThreshold, 1}, {&p.FailureThreshold, 3}} {
		if *field.value == 0 {
			*field.value = field.def
		}
	}
	defaultHTTPGet(p.HTTPGet)
	if p.GRPC != nil && p.GRPC.Service == nil {
		p.GRPC.Service = ptr.To("")
	}
}

func defaultHTTPGet(h *corev1.HTTPGetAction) {
	if h == nil {
		return
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Scheme == "" {
		h.Scheme = corev1.URISchemeHTTP
	}
}
