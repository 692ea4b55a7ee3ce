package services

import (
	"net"
	"net/netip"
	"slices"

	"laterna.dev/laterna/internal/host/conntrack"
)

// stale are the addresses of UDP of a service that led elsewhere before, with where they
// lead now.
func stale(old, now *Unit) (all []flow) {
	if old != nil {
		for _, f := range old.flows {
			if !slices.ContainsFunc(now.flowsOf(), f.within) {
				all = append(all, flow{f.at, now.to(f.at)})
			}
		}
	}
	for _, f := range now.flowsOf() {
		if !slices.ContainsFunc(old.flowsOf(), func(o flow) bool { return o.at == f.at }) {
			all = append(all, f)
		}
	}
	return all
}

func (u *Unit) flowsOf() []flow {
	if u == nil {
		return nil
	}
	return u.flows
}

// to is where packets to an address go now.
func (u *Unit) to(at netip.AddrPort) []netip.AddrPort {
	for _, f := range u.flowsOf() {
		if f.at == at {
			return f.to
		}
	}
	return nil
}

// within tells whether everybody whom f led to is one whom g leads to.
func (f flow) within(g flow) bool {
	return f.at == g.at && !slices.ContainsFunc(f.to, func(a netip.AddrPort) bool { return !slices.Contains(g.to, a) })
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
