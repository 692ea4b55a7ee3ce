package services

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// big is a service of that many of each.
func big(ports, external, endpoints int) (Service, []Slice) {
	s := Service{Name: Name{"ns", "big"}, ClusterIP: netip.MustParseAddr("10.96.0.7")}
	var slice Slice
	for i := range ports {
		name := strconv.Itoa(i)
		s.Ports = append(s.Ports, Port{Name: name, Protocol: TCP, Port: uint16(1 + i)})
		slice.Ports = append(slice.Ports, SlicePort{name, TCP, uint16(1 + i)})
	}
	for i := range external {
		s.External = append(s.External, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
	}
	for i := range endpoints {
		slice.Endpoints = append(slice.Endpoints, Endpoint{Addr: netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)}), Ready: true, Node: "a"})
	}
	return s, []Slice{slice}
}

// TestAServiceIsBounded by what it has altogether, and nothing is made of what is not used.
func TestAServiceIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		ports, external, endpoints int
		affinity                   time.Duration
		want                       cut
	}{
		"usual":                 {ports: 20, external: 5, endpoints: 900},
		"external addresses":    {ports: 5000, external: 4900, endpoints: 1, want: cut{ports: true}},
		"endpoints":             {ports: 1, external: 1, endpoints: 5000, want: cut{endpoints: true}},
		"endpoints of ports":    {ports: 300, endpoints: 900, want: cut{ports: true}},
		"affinity":              {ports: 300, endpoints: 900, affinity: time.Hour, want: cut{ports: true}},
		"a usual with affinity": {ports: 4, endpoints: 900, affinity: time.Hour},
	} {
		s, endpoints := big(tt.ports, tt.external, tt.endpoints)
		s.Affinity = tt.affinity
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		u := testConfig().Compile(s, endpoints, Node{Name: "a"})
		runtime.ReadMemStats(&after)
		if u.cut != tt.want {
			t.Errorf("%s: %+v is left out, want %+v", name, u.cut, tt.want)
		}
		if parts := len(u.elements) + len(u.chains) + len(u.sets); parts == 0 || parts > maxParts {
			t.Errorf("%s: %d elements, chains and sets", name, parts)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
			t.Errorf("%s: %d MiB were allocated", name, used)
		}
	}
}

// TestTheSameEndpointsAreUsedOfTooMany whatever the order in which the API has them.
func TestTheSameEndpointsAreUsedOfTooMany(t *testing.T) {
	s, endpoints := big(1, 0, 2*maxEndpoints)
	c := choose(s.Ports[0], endpoints, Node{Name: "a"})
	last := netip.AddrFrom4([4]byte{10, 244, byte((maxEndpoints - 1) >> 8), byte((maxEndpoints - 1) & 255)})
	if !c.cut || len(c.all) != maxEndpoints || len(c.local) != maxEndpoints || c.all[maxEndpoints-1].Addr() != last {
		t.Errorf("cut %v: %d, %d here, up to %v; want %d up to %v", c.cut, len(c.all), len(c.local), c.all[len(c.all)-1], maxEndpoints, last)
	}
}
