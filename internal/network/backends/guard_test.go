package backends_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/network/backends"
)

func TestAddressesThatAreNotDialled(t *testing.T) {
	g := backends.Guard{
		Services: func(context.Context) ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("2001:db8:9::/112")}, nil
		},
		Stores: []string{"10.0.0.9:2379", "127.0.0.1:2379", "no port"},
		Own:    func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil },
	}
	for _, c := range []struct {
		to   string
		host bool // the machine's own may be dialled
		ok   bool
	}{
		{"10.244.0.5:80", false, true},
		{"[2001:db8::1]:80", false, true},
		{"127.0.0.1:80", true, false},
		{"127.9.9.9:80", true, false},
		{"[::1]:80", true, false},
		{"[::ffff:127.0.0.1]:80", true, false},
		{"0.0.0.0:80", true, false},
		{"[::]:80", true, false},
		{"169.254.169.254:80", true, false},
		{"[fe80::1]:80", true, false},
		{"[fe80::1%eth0]:80", true, false},
		{"224.0.0.1:80", true, false},
		{"[ff02::1]:80", true, false},
		{"255.255.255.255:80", true, false},
		{"10.96.0.1:443", true, false},
		{"[::ffff:10.96.0.1]:443", true, false},
		{"[2001:db8:9::1]:443", true, false},
		{"10.0.0.1:80", false, false},
		{"[::ffff:10.0.0.1]:80", false, false},
		{"10.0.0.1:80", true, true},
		{"10.0.0.9:2379", true, false},
		{"[::ffff:10.0.0.9]:2379", false, false},
		{"10.0.0.9:80", false, true},
	} {
		err := g.Check(t.Context(), netip.MustParseAddrPort(c.to), c.host)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, backends.ErrNotAllowed) {
			t.Errorf("%s, own addresses %v: %v", c.to, c.host, err)
		}
	}
	without := g
	without.Services = func(context.Context) ([]netip.Prefix, error) { return nil, errors.New("no store") }
	if err := without.Check(t.Context(), netip.MustParseAddrPort("10.244.0.5:80"), true); err == nil {
		t.Error("addresses are dialled when those of services are not known")
	}
	g.Own = func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }
	if err := g.Check(t.Context(), netip.MustParseAddrPort("10.0.0.1:80"), false); err == nil {
		t.Error("addresses of the machine are dialled when they are not known")
	}
}

// TestNamesAreCheckedWhenTheyAreDialled has a listener on loopback that names lead to.
func TestNamesAreCheckedWhenTheyAreDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*net.Dialer{"guard": backends.Guard{}.Dialer(true), "webhooks": backends.OneMachineDialer(time.Second)} {
		for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0"} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
			cancel()
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), backends.ErrNotAllowed.Error()) {
				t.Errorf("%s: dialling %s: %v", name, host, err)
			}
		}
	}
}

// TestOwnAddressesAreThoseOfTheInterfaces asks this machine.
func TestOwnAddressesAreThoseOfTheInterfaces(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		p := netip.MustParsePrefix(a.String())
		if err := (backends.Guard{}).Check(t.Context(), netip.AddrPortFrom(p.Addr(), 80), false); !errors.Is(err, backends.ErrNotAllowed) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
