package bridge

import (
	"context"
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
