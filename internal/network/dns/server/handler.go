package server

import (
	"context"
	"net"
	"net/netip"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// guests is the first plugin: it refuses whoever is neither a pod of this node nor this
// machine itself. A machine takes packets for its gateway's address from any network.
type guests struct {
	next plugin.Handler
	pods netip.Prefix
	// addresses are those of this machine, as net.InterfaceAddrs.
	addresses func() ([]net.Addr, error)
}

// Name implements plugin.Handler.
func (guests) Name() string { return "guests" }

// ServeDNS implements plugin.Handler.
func (g guests) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if !g.welcome(w.RemoteAddr()) {
		return dns.RcodeRefused, nil
	}
	return plugin.NextOrFailure(g.Name(), g.next, ctx, w, r)
}

// welcome tells whether an address is answered.
func (g guests) welcome(remote net.Addr) bool {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return false
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.IsLoopback() || g.pods.Contains(addr) {
		return true
	}
	own, err := g.addresses()
	if err != nil {
		return false
	}
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// nowhere stands last where the machine has no resolver: it says so at once.
type nowhere struct{}

// Name implements plugin.Handler.
func (nowhere) Name() string { return "nowhere" }

// ServeDNS implements plugin.Handler. The reason is in the answer (RFC 8914) for whoever
// asks by hand.
func (nowhere) ServeDNS(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	m := new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
	if r.IsEdns0() != nil {
		m.SetEdns0(uint16(state.Size()), state.Do())
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{
			InfoCode: dns.ExtendedErrorCodeNetworkError, ExtraText: "this machine names no resolver in /etc/resolv.conf",
		})
	}
	if err := w.WriteMsg(m); err != nil {
		return dns.RcodeServerFailure, err
	}
	return dns.RcodeSuccess, nil // it is written
}
