package endpointslice

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

func slice(kind discoveryv1.AddressType, change func(*discoveryv1.EndpointSlice), addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		AddressType: kind,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: addresses}},
		Ports:       []discoveryv1.EndpointPort{{Port: ptr.To[int32](80)}},
	}
	if change != nil {
		change(s)
	}
	setDefaults(s)
	return s
}

func TestSlicesThatAreRefused(t *testing.T) {
	const v4, v6, fqdn = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN
	first := func(change func(*discoveryv1.Endpoint)) func(*discoveryv1.EndpointSlice) {
		return func(s *discoveryv1.EndpointSlice) { change(&s.Endpoints[0]) }
	}
	for name, tc := range map[string]struct {
		slice *discoveryv1.EndpointSlice
		want  []string
	}{
		"good":           {slice(v4, nil, "10.0.0.1"), nil},
		"good 6":         {slice(v6, nil, "2001:db8::1"), nil},
		"good name":      {slice(fqdn, nil, "a.example.com"), nil},
		"no type":        {slice("", nil, "10.0.0.1"), []string{"addressType: Required value"}},
		"odd type":       {slice("IPv5", nil, "10.0.0.1"), []string{`addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"`}},
		"no address":     {slice(v4, nil), []string{"endpoints[0].addresses: Required value: must contain at least 1 address"}},
		"other family":   {slice(v4, nil, "2001:db8::1"), []string{`endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address`}},
		"other family 6": {slice(v6, nil, "10.0.0.1"), []string{`must be an IPv6 address`}},
		"loopback":       {slice(v4, nil, "127.0.0.1"), []string{"may not be in the loopback range"}},
		"name for an IP": {slice(v4, nil, "a.example.com"), []string{"endpoints[0].addresses[0]: Invalid value"}},
		"short name":     {slice(fqdn, nil, "a"), []string{"endpoints[0].addresses[0]: Invalid value"}},
		"too many":       {slice(v4, nil, make([]string, 101)...), []string{"endpoints[0].addresses: Too many: 101: must have at most 100 items"}},
		"names":          {slice(v4, first(func(e *discoveryv1.Endpoint) { e.NodeName, e.Hostname = ptr.To("A_"), ptr.To("a.b") }), "10.0.0.1"), []string{"endpoints[0].nodeName: Invalid value", "endpoints[0].hostname: Invalid value"}},
		"zone twice": {slice(v4, first(func(e *discoveryv1.Endpoint) {
			e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "a"}, {Name: "a"}}}
		}), "10.0.0.1"), []string{"endpoints[0].hints.forZones[1].name: Duplicate value"}},
		"ports": {slice(v4, func(s *discoveryv1.EndpointSlice) {
			s.Ports = []discoveryv1.EndpointPort{{}, {Port: ptr.To[int32](0)}, {Name: ptr.To("A"), Protocol: ptr.To[corev1.Protocol]("XTP")}}
		}, "10.0.0.1"), []string{"ports[1].name: Duplicate value", "ports[1].port: Invalid value: 0", "ports[2].name: Invalid value", `ports[2].protocol: Unsupported value: "XTP"`}},
		"many endpoints":  {slice(v4, func(s *discoveryv1.EndpointSlice) { s.Endpoints = make([]discoveryv1.Endpoint, 1001) }), []string{"endpoints: Too many: 1001: must have at most 1000 items"}},
		"a port for each": {slice(v4, func(s *discoveryv1.EndpointSlice) { s.Ports = nil }, "10.0.0.1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			errs := validate(tc.slice)
			if len(errs) != len(tc.want) {
				t.Errorf("%d errors: %v", len(errs), errs)
			}
			for _, want := range tc.want {
				if !strings.Contains(fmt.Sprint(errs), want) {
					t.Errorf("errors %v\nlack %s", errs, want)
				}
			}
		})
	}
	if errs := validateChange(slice(v4, nil, "10.0.0.1"), slice(v6, nil, "2001:db8::1")); len(errs) != 1 || !strings.Contains(errs[0].Error(), "addressType: Invalid value: \"IPv4\": field is immutable") {
		t.Errorf("another type: %v", errs)
	}
}

func TestSliceIsShownAsUpstreamShowsIt(t *testing.T) {
	s := slice(discoveryv1.AddressTypeIPv4, nil, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
	s.Name = "s"
	if row := columns().Row(s); !slices.Equal(row, []any{"s", "IPv4", "80", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
	if got := ports([]discoveryv1.EndpointPort{{Name: ptr.To("")}}) + addresses(nil); got != "*<unset>" {
		t.Errorf("all ports of nothing: %s", got)
	}
}

func TestGenerationCountsChangesOfWhatASliceSays(t *testing.T) {
	old := slice(discoveryv1.AddressTypeIPv4, nil, "10.0.0.1")
	old.Generation = 3
	same, moved := old.DeepCopy(), slice(discoveryv1.AddressTypeIPv4, nil, "10.0.0.2")
	generation(same, old)
	generation(moved, old)
	if same.Generation != 3 || moved.Generation != 4 {
		t.Errorf("generations %d and %d, want 3 and 4", same.Generation, moved.Generation)
	}
}
