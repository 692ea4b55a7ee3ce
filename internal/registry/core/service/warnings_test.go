package service

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestServicesAreToldWhatTheyDoNot(t *testing.T) {
	made := func(name string, change func(*corev1.ServiceSpec)) *corev1.Service {
		s := newService(name, change)
		s.Namespace = "default"
		settle(s, nil)
		return s
	}
	plain := func(*corev1.ServiceSpec) {}
	for name, tc := range map[string]struct {
		now, before *corev1.Service
		want        []string
	}{
		"new":                {made("s", plain), nil, nil},
		"node ports":         {made("s", kind(corev1.ServiceTypeNodePort)), nil, nil},
		"without an address": {made("s", address("None")), nil, nil},
		"another's name":     {made("s", kind(corev1.ServiceTypeExternalName)), nil, nil},
		"the API's":          {made("kubernetes", plain), nil, nil},
		"changed":            {made("s", plain), made("s", plain), nil},
		"of another type":    {made("s", kind(corev1.ServiceTypeLoadBalancer)), made("s", plain), []string{unbalanced}},
		"idle name":          {made("s", func(spec *corev1.ServiceSpec) { spec.ExternalName = "a.b" }), made("s", plain), []string{`spec.externalName is ignored when spec.type is not "ExternalName"`}},
		"another's name, with an address": {made("s", func(spec *corev1.ServiceSpec) {
			kind(corev1.ServiceTypeExternalName)(spec)
			spec.ExternalIPs = []string{"192.0.2.1"}
		}), nil, []string{`spec.externalIPs is ignored when spec.type is "ExternalName"`}},
		"headless, with what needs an address": {made("s", func(spec *corev1.ServiceSpec) {
			address("None")(spec)
			spec.LoadBalancerIP, spec.ExternalIPs, spec.SessionAffinity = "192.0.2.2", []string{"192.0.2.1"}, corev1.ServiceAffinityClientIP
		}), nil, []string{"spec.loadBalancerIP is ignored for headless services", "spec.externalIPs is ignored for headless services", "spec.SessionAffinity is ignored for headless services"}},
		"an old annotation": {annotated(made("s", plain), corev1.DeprecatedAnnotationTopologyAwareHints), made("s", plain), []string{"annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead"}},
		"an old preference": {made("s", func(spec *corev1.ServiceSpec) {
			spec.TrafficDistribution = ptr.To(corev1.ServiceTrafficDistributionPreferClose)
		}), made("s", plain), []string{`spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`}},
		"external address": {made("s", func(spec *corev1.ServiceSpec) { spec.ExternalIPs = []string{"192.0.2.1"} }), made("s", plain), []string{"spec.externalIPs is deprecated and may no longer be implemented in some clusters"}},
	} {
		if got := warnings(tc.now, tc.before); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func annotated(s *corev1.Service, key string) *corev1.Service {
	s.Annotations = map[string]string{key: "auto"}
	return s
}
