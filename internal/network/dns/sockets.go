package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"

	"laterna.dev/laterna/internal/network/bridge"
)

// port is where names are asked for.
const port = 53

// attempts is how many ports are tried that are free for TCP and may not be for UDP.
const attempts = 16

// Sockets are where pods ask. They stay open while servers come and go.
type Sockets struct {
	tcp, udp *os.File
	addr     netip.AddrPort
}

// Open opens the sockets on the gateway's address, which this machine need not have yet.
// Where another program has port 53 of all addresses, or this one may not have such a port,
// they are at another: pods ask the address of the service, from where packets are led here.
func Open(ctx context.Context, gateway netip.Addr, log *slog.Logger) (*Sockets, error) {
	s, err := open(ctx, netip.AddrPortFrom(gateway, port))
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) {
		log.Warn("port 53 is not to be had, since another program of this machine has that of all addresses or this one has no right to it; cluster DNS listens at another port, which is all the same to pods", "gateway", gateway, "error", err)
		for range attempts {
			if s, err = open(ctx, netip.AddrPortFrom(gateway, 0)); !errors.Is(err, syscall.EADDRINUSE) {
				break
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster DNS: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, at netip.AddrPort) (*Sockets, error) {
	l, err := bridge.FreebindListen(ctx, at.String())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listening on %s gave a %T", at, l)
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	p, err := bridge.FreebindPacket(ctx, addr.String())
	if err != nil {
		return nil, err
	}
	defer p.Close()
	s := &Sockets{addr: addr}
	if s.tcp, err = tcp.File(); err != nil {
		return nil, err
	}
	if s.udp, err = p.File(); err != nil {
		s.tcp.Close()
		return nil, err
	}
	return s, nil
}

// Addr is where they listen, by UDP and TCP.
func (s *Sockets) Addr() netip.AddrPort { return s.addr }

// Close closes them. It may be called again.
func (s *Sockets) Close() error {
	err := errors.Join(s.tcp.Close(), s.udp.Close())
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
