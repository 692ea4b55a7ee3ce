package services

import (
	"net/netip"
	"testing"
	"time"
)

// TestNoServiceForgetsTheFlowsOfAnother: neither by an address that no service can have from
// outside, nor by one that another has.
func TestNoServiceForgetsTheFlowsOfAnother(t *testing.T) {
	shared, cluster := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("10.96.0.10")
	unit := func(name string, external ...netip.Addr) *Unit {
		s := Service{Name: Name{"ns", name}, ClusterIP: netip.AddrFrom4([4]byte{10, 96, 0, name[0]}), External: external, Balanced: external,
			Ports: []Port{{Name: "dns", Protocol: UDP, Port: 53, NodePort: 30053}}}
		return testConfig().Compile(s, []Slice{{[]SlicePort{{"dns", UDP, 53}}, []Endpoint{at(1, "ready", "a")}}}, Node{Name: "a"})
	}
	s := newState()
	change := func(name string, u *Unit) map[netip.AddrPort]bool {
		before, all := s.flows(Name{"ns", name}), map[netip.AddrPort]bool{}
		s.set(Name{"ns", name}, u, time.Time{}, newChange())
		for _, f := range stale(before, s.flows(Name{"ns", name})) {
			all[f.at] = true
		}
		return all
	}
	at := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 53) }
	node := netip.AddrPortFrom(netip.Addr{}, 30053)
	if got := change("a", unit("a", shared)); !got[at(shared)] || !got[node] || len(got) != 3 {
		t.Errorf("the first: %v, want its three", got)
	}
	for what, u := range map[string]*Unit{"another": unit("b", shared, cluster), "without": nil} {
		if got := change("b", u); got[at(shared)] || got[at(cluster)] || got[node] {
			t.Errorf("%s: %v", what, got)
		}
	}
	if got := change("a", nil); len(got) != 3 {
		t.Errorf("the first goes: %v, want its three", got)
	}
}
