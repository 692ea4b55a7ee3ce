package bridge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// FreebindPacket is FreebindListen for UDP.
func FreebindPacket(ctx context.Context, addr string) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: freebind}
	p, err := config.ListenPacket(ctx, "udp4", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on the pod network's gateway: %w", err)
	}
	udp, ok := p.(*net.UDPConn)
	if !ok {
		p.Close()
		return nil, fmt.Errorf("listening on the pod network's gateway gave a %T", p)
	}
	return udp, nil
}

// freebind lets a socket have an address that the machine has not.
func freebind(_, _ string, c syscall.RawConn) error {
	var err error
	control := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) })
	return errors.Join(control, err)
}

// Make makes the bridge before the first pod does: what listens on the gateway's address
// can be reached by programs of this machine only then. Where it is there already, it is
// brought in order.
func (n Network) Make() error {
	if _, err := n.ensure(n.hardware()); err != nil {
		return fmt.Errorf("making the bridge of pods: %w", err)
	}
	return nil
}

// hardware is the bridge's address: one that is set stays the same when pods come and go,
// and pods remember it.
func (n Network) hardware() net.HardwareAddr {
	const local = 2 // administered locally, for one receiver
	sum := sha256.Sum256([]byte(n.Bridge))
	return append(net.HardwareAddr{local}, sum[:5]...)
}
