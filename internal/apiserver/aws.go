package apiserver

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/apiserver/awsapis"
	"laterna.dev/laterna/internal/registry"
)

// AWSConfig is about STS and IAM, which every server serves.
type AWSConfig struct {
	// Authorities sign serving certificates of this system; the hosts of its own issuers are
	// verified by them, all others by the machine's.
	Authorities *x509.CertPool
	// Faults lets administrators ask for faults: for systems with a test clock. Optional.
	Faults bool
}

// buildAWS puts STS and IAM together.
func (s *Server) buildAWS(all *registry.Storages) (*awsapis.APIs, error) {
	pods, err := s.podCluster()
	if err != nil {
		return nil, err
	}
	return awsapis.New(awsapis.Config{
		Authorities: s.config.AWS.Authorities, Faults: s.config.AWS.Faults,
		Storages: all, Secrets: s.access.client.CoreV1().Secrets(metav1.NamespaceSystem),
		Services: s.config.Services.Range, Stores: s.stores,
		IsOwn: s.isOwnIssuer, Listener: func() (net.Addr, error) { return nearest(s.config.Serving.Listeners) }, Pods: pods,
		Clock: s.config.Clock, Wall: s.config.Wall, Log: s.config.Log,
	})
}

// isOwnIssuer tells whether a host is one at which relying parties find this server's own
// issuers, or their keys.
func (s *Server) isOwnIssuer(host string) bool {
	host = strings.ToLower(host)
	return host == s.config.Serving.Advertise.Addr().String() || slices.Contains(s.tokens.Issuers.Hosts(), host)
}

// nearest is where this process reaches the first of the server's listeners.
func nearest(listeners []net.Listener) (net.Addr, error) {
	if len(listeners) == 0 {
		return nil, errors.New("the server has no listener at which its own issuers are found")
	}
	addr := listeners[0].Addr()
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr, err
	}
	local := netip.IPv6Loopback()
	if at.Addr().Is4() {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, at.Port())), nil
}
