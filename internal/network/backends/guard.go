package backends

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrNotAllowed is the error about an address that is not dialled, in upstream's words.
var ErrNotAllowed = errors.New("address not allowed")

// Times of connections that are made for somebody else.
const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

// Guard says which addresses may be dialled. Its zero value refuses those that are not
// another machine's. It is safe for concurrent use.
type Guard struct {
	// Services returns the ranges of cluster addresses of services, as they are now: a rule
	// of the packet filter takes them elsewhere, the first of them to the API server.
	// Optional.
	Services func(context.Context) ([]netip.Prefix, error)
	// Stores are hosts with ports at which the server's store answers. Optional.
	Stores []string
	// Own returns the addresses of this machine. Optional: its network interfaces'.
	Own func() ([]netip.Addr, error)
}

// Check returns ErrNotAllowed for an address that must not be dialled. host lets the
// machine's own addresses pass, but for loopback.
func (g Guard) Check(ctx context.Context, to netip.AddrPort, host bool) error {
	addr := to.Addr().Unmap()
	if !OneMachine(addr) {
		return ErrNotAllowed
	}
	if err := g.services(ctx, addr); err != nil {
		return err
	}
	if !host {
		own, err := g.own()
		if err != nil {
			return fmt.Errorf("reading the addresses of this machine: %w", err)
		}
		for _, a := range own {
			if a == addr {
				return ErrNotAllowed
			}
		}
	}
	return g.store(ctx, netip.AddrPortFrom(addr, to.Port()))
}

// services refuses cluster addresses, and everything where they are not known.
func (g Guard) services(ctx context.Context, addr netip.Addr) error {
	if g.Services == nil {
		return nil
	}
	ranges, err := g.Services(ctx)
	if err != nil {
		return fmt.Errorf("reading the ranges of service addresses: %w", err)
	}
	for _, r := range ranges {
		if r.Contains(addr) {
			return ErrNotAllowed
		}
	}
	return nil
}

// store refuses what the store answers at. A name that cannot be looked up is no way to
// it.
func (g Guard) store(ctx context.Context, to netip.AddrPort) error {
	for _, s := range g.Stores {
		host, port, err := net.SplitHostPort(s)
		if err != nil || port != fmt.Sprint(to.Port()) {
			continue
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			continue
		}
		for _, a := range found {
			if a.Unmap() == to.Addr() {
				return ErrNotAllowed
			}
		}
	}
	return nil
}

func (g Guard) own() ([]netip.Addr, error) {
	if g.Own != nil {
		return g.Own()
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, nil
}

// Dialer returns what connects to addresses that Check lets pass: it looks at each
// address that a name has, just before it connects.
func (g Guard) Dialer(host bool) *net.Dialer {
	return dialer(func(ctx context.Context, to netip.AddrPort) error { return g.Check(ctx, to, host) })
}

// OneMachineDialer returns what connects to addresses that OneMachine says can be
// another machine's, and gives up after timeout.
func OneMachineDialer(timeout time.Duration) *net.Dialer {
	d := dialer(func(_ context.Context, to netip.AddrPort) error {
		if !OneMachine(to.Addr()) {
			return ErrNotAllowed
		}
		return nil
	})
	d.Timeout = timeout
	return d
}

func dialer(check func(context.Context, netip.AddrPort) error) *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive,
		ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return check(ctx, to)
		}}
}
