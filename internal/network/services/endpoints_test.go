package services

import (
	"net/netip"
	"slices"
	"testing"
)

var http = Port{Name: "http", Protocol: TCP, Port: 80}

// at is an endpoint of a node by its last byte.
func at(n byte, state string, node string) Endpoint {
	e := Endpoint{Addr: netip.AddrFrom4([4]byte{10, 244, 0, n}), Node: node}
	switch state {
	case "ready":
		e.Ready, e.Serving = true, true
	case "draining":
		e.Serving, e.Terminating = true, true
	case "gone":
		e.Terminating = true
	}
	return e
}

// hinted are the endpoints with hints.
func hinted(e Endpoint, node, zone string) Endpoint {
	if node != "" {
		e.Nodes = []string{node}
	}
	if zone != "" {
		e.Zones = []string{zone}
	}
	return e
}

func TestEndpointsAreChosenAsUpstreamDoes(t *testing.T) {
	for name, tt := range map[string]struct {
		endpoints  []Endpoint
		all, local []byte
		none       bool // no endpoints at all
	}{
		"none":                            {none: true},
		"starting":                        {endpoints: []Endpoint{at(1, "", "a")}, none: true},
		"ended":                           {endpoints: []Endpoint{at(1, "gone", "a")}, none: true},
		"ready here and there":            {endpoints: []Endpoint{at(2, "ready", "b"), at(1, "ready", "a")}, all: []byte{1, 2}, local: []byte{1}},
		"ready there":                     {endpoints: []Endpoint{at(2, "ready", "b")}, all: []byte{2}},
		"a draining one is spared":        {endpoints: []Endpoint{at(1, "draining", "a"), at(2, "ready", "a")}, all: []byte{2}, local: []byte{2}},
		"only draining ones":              {endpoints: []Endpoint{at(1, "draining", "a"), at(2, "draining", "b"), at(3, "gone", "a")}, all: []byte{1, 2}, local: []byte{1}},
		"draining here, ready there":      {endpoints: []Endpoint{at(1, "draining", "a"), at(2, "ready", "b")}, all: []byte{2}, local: []byte{1}},
		"of no node":                      {endpoints: []Endpoint{at(1, "ready", "")}, all: []byte{1}},
		"hints for this zone":             {endpoints: []Endpoint{hinted(at(1, "ready", "a"), "", "z"), hinted(at(2, "ready", "b"), "", "y")}, all: []byte{1}, local: []byte{1}},
		"hints for other zones":           {endpoints: []Endpoint{hinted(at(1, "ready", "a"), "", "x"), hinted(at(2, "ready", "b"), "", "y")}, all: []byte{1, 2}, local: []byte{1}},
		"one without a hint":              {endpoints: []Endpoint{hinted(at(1, "ready", "a"), "", "y"), hinted(at(2, "ready", "b"), "", "z"), at(3, "ready", "b")}, all: []byte{1, 2, 3}, local: []byte{1}},
		"a draining one without a hint":   {endpoints: []Endpoint{hinted(at(1, "ready", "a"), "", "z"), hinted(at(2, "ready", "a"), "", "y"), at(3, "draining", "b")}, all: []byte{1}, local: []byte{1, 2}},
		"hints for this node":             {endpoints: []Endpoint{hinted(at(1, "ready", "b"), "a", "y"), hinted(at(2, "ready", "b"), "b", "z")}, all: []byte{1}},
		"hints for other nodes, and zone": {endpoints: []Endpoint{hinted(at(1, "ready", "b"), "c", "y"), hinted(at(2, "ready", "b"), "b", "z")}, all: []byte{2}},
		"no endpoint of the API's":        {endpoints: []Endpoint{{Addr: netip.MustParseAddr("127.0.0.1"), Ready: true}, {Addr: netip.MustParseAddr("169.254.169.254"), Ready: true}, {Addr: netip.MustParseAddr("fd00::1"), Ready: true}, {Ready: true}}, none: true},
	} {
		ports := []SlicePort{{Name: "other", Protocol: TCP, Port: 1}, {Name: "http", Protocol: UDP, Port: 2}, {Name: "http", Protocol: TCP, Port: 8080}}
		// Each is in a slice of its own, and in one that says that it does nothing.
		var all []Slice
		for _, e := range tt.endpoints {
			all = append(all, Slice{ports, []Endpoint{e}}, Slice{ports, []Endpoint{{Addr: e.Addr, Node: e.Node}}})
		}
		c := choose(http, all, Node{Name: "a", Zone: "z"})
		for what, of := range map[string]struct {
			got  []netip.AddrPort
			want []byte
		}{"all": {c.all, tt.all}, "local": {c.local, tt.local}} {
			var want []netip.AddrPort
			for _, n := range of.want {
				want = append(want, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, 0, n}), 8080))
			}
			if !slices.Equal(of.got, want) {
				t.Errorf("%s: %s are %v, want %v", name, what, of.got, want)
			}
		}
		if c.any == tt.none {
			t.Errorf("%s: any %v", name, c.any)
		}
	}
	for state, want := range map[string]int{"ready": 2, "draining": 0} {
		u := testConfig().Compile(Service{Name: Name{"ns", "s"}, ClusterIP: netip.MustParseAddr("10.96.0.9"), Ports: []Port{http}},
			[]Slice{{[]SlicePort{{Name: "http", Protocol: TCP, Port: 8080}}, []Endpoint{at(1, state, "a"), at(2, state, "a"), at(3, state, "b")}}}, Node{Name: "a"})
		if u.Local != want {
			t.Errorf("a load balancer counts %d endpoints that are %s, want %d", u.Local, state, want)
		}
	}
	if c := choose(http, []Slice{{[]SlicePort{{Name: "http", Protocol: TCP}}, []Endpoint{at(1, "ready", "a")}}}, Node{}); c.any {
		t.Errorf("endpoints without a port: %+v", c)
	}
}
