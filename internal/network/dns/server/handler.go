package server

import (
	"context"
	"net"
	"net/netip"

	"github.com/coredns/coredns/plugin"
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

// nowhere stands last where the machine has no resolver: that is told at once, and programs
// say that they cannot resolve names, not that there is no such name.
type nowhere struct{}

// Name implements plugin.Handler.
func (nowhere) Name() string { return "nowhere" }

// ServeDNS implements plugin.Handler.
func (nowhere) ServeDNS(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
	return dns.RcodeServerFailure, nil
}
