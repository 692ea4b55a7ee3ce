package backends_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/network/backends"
)

func slice(ready *bool, port int32, name string, addresses ...string) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ready}})
	}
	return s
}

func TestWhoIsCalledForAService(t *testing.T) {
	for name, tc := range map[string]struct {
		slice discoveryv1.EndpointSlice
		want  []string
	}{
		"ready":             {slice(ptr.To(true), 8443, "web", "10.0.0.1", "2001:db8::1"), []string{"10.0.0.1:8443", "[2001:db8::1]:8443"}},
		"not said":          {slice(nil, 8443, "web", "10.0.0.1"), []string{"10.0.0.1:8443"}},
		"not ready":         {slice(ptr.To(false), 8443, "web", "10.0.0.1"), nil},
		"another port":      {slice(ptr.To(true), 8443, "other", "10.0.0.1"), nil},
		"the server itself": {slice(ptr.To(true), 8443, "web", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"), nil},
		"its neighbours":    {slice(ptr.To(true), 8443, "web", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "255.255.255.255"), nil},
		"a name":            {slice(ptr.To(true), 8443, "web", "metadata.internal"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range backends.Ready([]discoveryv1.EndpointSlice{tc.slice}, "web") {
				got = append(got, a.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("called are %q, want %q", got, tc.want)
			}
		})
	}
}
