package apiserver_test

import (
	"net/netip"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver"
)

// TestSliceOfTheServiceSaysWhatItsEndpointsSay moves a server to an address of another
// family.
func TestSliceOfTheServiceSaysWhatItsEndpointsSay(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		advertise string
		kind      discoveryv1.AddressType
	}{{"10.1.2.3:6443", discoveryv1.AddressTypeIPv4}, {"[2001:db8::1]:7443", discoveryv1.AddressTypeIPv6}} {
		want := netip.MustParseAddrPort(tc.advertise)
		s := boot(t, dir, func(c *apiserver.Config) { c.Serving.Advertise = want })
		endpoints, err := s.admin().CoreV1().Endpoints("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		must(t, err)
		if got := endpoints.Subsets[0]; got.Addresses[0].IP != want.Addr().String() || got.Ports[0].Port != int32(want.Port()) {
			t.Errorf("endpoints %+v, want %s", got, want)
		}
		slice, err := s.admin().DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
		must(t, err)
		if slice.AddressType != tc.kind || slice.Endpoints[0].Addresses[0] != want.Addr().String() || *slice.Ports[0].Port != int32(want.Port()) ||
			*slice.Ports[0].Name != "https" || slice.Labels[discoveryv1.LabelServiceName] != "kubernetes" {
			t.Errorf("slice %+v, want %s of type %s", slice, want, tc.kind)
		}
		must(t, s.group.Stop(t.Context()))
	}
}
