package services

import (
	"net/netip"
	"slices"

	"laterna.dev/laterna/internal/network/backends"
)

// choice is where packets to a port of a service may go.
type choice struct {
	// all is for whoever is sent to endpoints anywhere, local for whoever is sent to those
	// of this node. Both are in the order of their addresses.
	all, local []netip.AddrPort
	// ready are those of this node that are ready, which load balancers count.
	ready []netip.AddrPort
	// any tells whether there are endpoints at all, here or elsewhere.
	any bool
	// cut tells whether there are more than maxEndpoints.
	cut bool
	// looked is how many there were to choose from.
	looked int
}

// candidate is an endpoint of one port.
type candidate struct {
	Endpoint
	at netip.AddrPort
}

// draining tells whether it still serves while it ends: it is for when nobody else does.
func (e Endpoint) draining() bool { return e.Serving && e.Terminating }

// choose finds where packets to a port may go, as upstream does: to those that are ready;
// where none is, to those that end and still serve. Hints say who of the ready is nearer
// (KEP-2433, KEP-3015), but not among the endpoints of a node itself.
func choose(p Port, all []Slice, n Node) (c choice) {
	found := candidates(p, all)
	c.looked = len(found)
	near := nearer(found, n)
	ready := func(e candidate) bool { return e.Ready }
	draining := func(e candidate) bool { return e.draining() }
	here := func(e candidate) bool { return e.Node == n.Name && e.Node != "" }
	c.any = slices.ContainsFunc(found, func(e candidate) bool { return e.Ready || e.draining() })
	c.all = first(filter(found, ready, near), filter(found, draining))
	c.ready = filter(found, here, ready)
	c.local = first(c.ready, filter(found, here, draining))
	c.cut = max(len(c.all), len(c.local)) > maxEndpoints
	// By address, so that all nodes and the next time have the same.
	c.all, c.local = c.all[:min(len(c.all), maxEndpoints)], c.local[:min(len(c.local), maxEndpoints)]
	return c
}

// candidates are the endpoints of a port, each once.
func candidates(p Port, all []Slice) []candidate {
	by := map[netip.AddrPort]candidate{}
	for _, s := range all {
		port := slices.IndexFunc(s.Ports, func(sp SlicePort) bool { return sp.Name == p.Name && sp.Protocol == p.Protocol })
		if port < 0 || s.Ports[port].Port == 0 {
			continue
		}
		for _, e := range s.Endpoints {
			if !reachable(e.Addr) {
				continue
			}
			at := netip.AddrPortFrom(e.Addr, s.Ports[port].Port)
			// While an endpoint goes from one slice to another it is in both, or both say
			// different things: who says that it serves is right.
			if old, ok := by[at]; !ok || better(e, old.Endpoint) {
				by[at] = candidate{e, at}
			}
		}
	}
	found := make([]candidate, 0, len(by))
	for _, c := range by {
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b candidate) int { return a.at.Compare(b.at) })
	return found
}

// better tells whether more can be had of an endpoint by what a says than by what b says.
func better(a, b Endpoint) bool {
	rank := func(e Endpoint) int {
		switch {
		case e.Ready:
			return 2
		case e.draining():
			return 1
		}
		return 0
	}
	return rank(a) > rank(b)
}

// reachable tells whether packets may be sent on to an address: the API refuses others, and
// whoever writes around it must not have them sent to the machine's own.
func reachable(a netip.Addr) bool {
	return a.Is4() && backends.OneMachine(a)
}

// nearer tells of ready endpoints which are for this node. Hints count only where all have
// some, and some are for it: else a part of the endpoints would be lost.
func nearer(found []candidate, n Node) func(candidate) bool {
	forNode := func(e candidate) bool { return slices.Contains(e.Nodes, n.Name) }
	forZone := func(e candidate) bool { return n.Zone != "" && slices.Contains(e.Zones, n.Zone) }
	allNodes, allZones, someNode, someZone := true, true, false, false
	for _, e := range found {
		if !e.Ready {
			continue
		}
		allNodes, allZones = allNodes && len(e.Nodes) > 0, allZones && len(e.Zones) > 0
		someNode, someZone = someNode || forNode(e), someZone || forZone(e)
	}
	switch {
	case allNodes && someNode:
		return forNode
	case allZones && someZone:
		return forZone
	}
	return func(candidate) bool { return true }
}

func filter(all []candidate, wanted ...func(candidate) bool) (to []netip.AddrPort) {
	for _, e := range all {
		if !slices.ContainsFunc(wanted, func(is func(candidate) bool) bool { return !is(e) }) {
			to = append(to, e.at)
		}
	}
	return to
}

func first(a, b []netip.AddrPort) []netip.AddrPort {
	if len(a) > 0 {
		return a
	}
	return b
}
