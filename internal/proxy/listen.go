package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/kubectl/pkg/proxy"
)

// Listener accepts connections from this machine alone.
type Listener struct{ net.Listener }

// Listen listens at a loopback address; port 0 is a free one. Whoever reaches the proxy
// has the rights of its credentials, so an address that others reach is refused.
func Listen(address string, port int) (*Listener, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.Unmap().IsLoopback()) {
		return nil, fmt.Errorf("--address: %s is not of this machine alone, and who reaches the proxy acts with its credentials: give 127.0.0.1 or ::1; other machines forward a port (ssh -L, kubectl port-forward)", address)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w (give another --port; 0 takes a free one)", err)
	}
	if err != nil {
		return nil, err
	}
	// A name is what the machine's files make of it.
	if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("--address: %s is %s, which is not of this machine alone", address, l.Addr()), l.Close())
	}
	return &Listener{l}, nil
}

// ListenUnix listens on a unix socket that only its owner may connect to. A socket that
// is there is replaced.
func ListenUnix(path string) (*Listener, error) {
	l, err := new(proxy.Server).ListenUnix(path)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}
