package server

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestOnlyThisMachineAndItsPodsAreAnswered(t *testing.T) {
	own := func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(24, 32)}, &net.IPAddr{IP: net.IPv6loopback}}, nil
	}
	g := guests{pods: netip.MustParsePrefix("192.0.2.0/24"), addresses: own}
	for remote, want := range map[net.Addr]bool{
		&net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1}:    true,
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1}:    true,
		&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}:    true,
		&net.UDPAddr{IP: net.IPv4(203, 0, 113, 5), Port: 1}:  true,
		&net.UDPAddr{IP: net.IPv4(203, 0, 113, 6), Port: 1}:  false, // in the same network
		&net.UDPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 1}: false,
		&net.UnixAddr{Name: "x"}:                             false,
	} {
		if got := g.welcome(remote); got != want {
			t.Errorf("%v: %v", remote, got)
		}
	}
	g.addresses = func() ([]net.Addr, error) { return nil, errors.New("no") }
	if g.welcome(&net.UDPAddr{IP: net.IPv4(203, 0, 113, 5), Port: 1}) {
		t.Error("whoever cannot be told from others is answered")
	}
}
