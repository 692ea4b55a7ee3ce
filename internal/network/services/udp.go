package services

import (
	"net"
	"net/netip"
	"slices"

	"laterna.dev/laterna/internal/host/conntrack"
)

// flows are where packets go to the addresses of UDP that a service holds: those that
// another has are not its to forget.
func (s *state) flows(name Name) map[netip.AddrPort][]netip.AddrPort {
	u := s.units[name]
	if u == nil || len(u.flows) == 0 {
		return nil
	}
	held := make(map[netip.AddrPort][]netip.AddrPort, len(u.flows))
	for _, f := range u.flows {
		if s.holders[f.key()] == name && len(u.keys[f.key()]) > 0 {
			held[f.at] = f.to
		}
	}
	return held
}

// stale are the addresses of UDP of a service that led elsewhere before, with where they
// lead now.
func stale(old, now map[netip.AddrPort][]netip.AddrPort) (all []flow) {
	for at, to := range old {
		if led, still := now[at]; !still || !within(to, led) {
			all = append(all, flow{at, led})
		}
	}
	for at, to := range now {
		if _, known := old[at]; !known {
			all = append(all, flow{at, to})
		}
	}
	return all
}

// within tells whether everybody of the first is one of the second; both are in order.
func within(all, of []netip.AddrPort) bool {
	return !slices.ContainsFunc(all, func(a netip.AddrPort) bool {
		_, found := slices.BinarySearchFunc(of, a, netip.AddrPort.Compare)
		return !found
	})
}

// forget has the kernel forget where UDP packets went before: a sender that does not pause
// would send to an endpoint that is gone for ever, or to none.
func (r *Router) forget(flows []flow) {
	if len(flows) == 0 {
		return
	}
	now := map[netip.AddrPort][]netip.AddrPort{}
	ports := map[uint16][]netip.AddrPort{}
	for _, f := range flows {
		if f.at.Addr().IsValid() {
			now[f.at] = f.to
		} else {
			ports[f.at.Port()] = f.to
		}
	}
	here := map[netip.Addr]bool{}
	if len(ports) > 0 {
		here = r.addresses()
	}
	_, err := conntrack.ForgetUDP(func(f conntrack.Flow) bool {
		if to, ok := now[f.To]; ok {
			return !slices.Contains(to, f.From)
		}
		to, ok := ports[f.To.Port()]
		// What was not led elsewhere is for a process of the machine.
		return ok && here[f.To.Addr()] && f.From != f.To && !slices.Contains(to, f.From)
	})
	if err != nil {
		r.cfg.Log.Warn("senders of UDP packets to a service may reach a former endpoint until they pause", "error", err)
	}
}

// addresses are those of the machine.
func (r *Router) addresses() map[netip.Addr]bool {
	here := map[netip.Addr]bool{}
	all, err := net.InterfaceAddrs()
	if err != nil {
		r.cfg.Log.Warn("addresses of the machine not listed", "error", err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			here[p.Addr()] = true
		}
	}
	return here
}
