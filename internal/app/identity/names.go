package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry/core/service"
)

// Names are what the system and its machine are called, and where they are reached.
type Names struct {
	NodeName      string
	NodeIP        netip.Addr
	Listen        netip.AddrPort
	Gateway       netip.Addr // of the pods' network; invalid without one
	ServiceIP     netip.Addr
	ClusterDomain string
}

// NamesOf collects the names of the system that listens at an address, but for the gateway,
// and for the service's address where the range of services is yet to be chosen.
func NamesOf(listen net.Addr, c config.Node, network config.Network, dir datadir.Dir, log *slog.Logger) (Names, error) {
	n := Names{ClusterDomain: network.ClusterDomain}
	var err error
	var renamed bool
	if n.NodeName, renamed, err = nodeName(c.Name, dir); err != nil {
		return n, err
	}
	if renamed {
		log.Warn("the host has another name than before; the node keeps its name, and with it its pods (--node-name changes it)", "node", n.NodeName)
	}
	if n.NodeIP, err = nodeIP(c.IP); err != nil {
		return n, err
	}
	if n.Listen, err = netip.ParseAddrPort(listen.String()); err != nil {
		return n, fmt.Errorf("reading the listener's address: %w", err)
	}
	n.Serve(network.Services())
	return n, nil
}

// Serve makes the service kubernetes that of a range of addresses.
func (n *Names) Serve(services netip.Prefix) {
	if services.IsValid() {
		n.ServiceIP = service.First(services)
	}
}

// loopback is the address in IPv4 by which this machine reaches itself.
func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// Local is where clients on this machine reach the server.
func (n Names) Local() netip.AddrPort {
	if n.Listen.Addr().IsUnspecified() {
		return loopback(n.Listen.Port())
	}
	return n.Listen
}

// Routed is where programs of this machine are led that call the service kubernetes: an
// address of IPv4, as services are, at which the server listens too.
func (n Names) Routed() netip.AddrPort {
	if n.Local().Addr().Is4() {
		return n.Local()
	}
	return loopback(n.Listen.Port())
}

// URL is what clients on this machine call the server.
func (n Names) URL() string { return "https://" + n.Local().String() }

// Advertised is where the service kubernetes leads: to the pods' gateway where there is
// one, else to the listener. A listener on all addresses names none, so the machine's
// stands for it.
func (n Names) Advertised() netip.AddrPort {
	switch {
	case n.Gateway.IsValid():
		return netip.AddrPortFrom(n.Gateway, n.Listen.Port())
	case n.Listen.Addr().IsUnspecified():
		return netip.AddrPortFrom(n.NodeIP, n.Listen.Port())
	}
	return n.Listen
}

// serverLeaf names every way in which clients reach the API server.
func (n Names) serverLeaf() pki.Leaf {
	hosts := []string{"localhost", n.NodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + n.ClusterDomain,
		"aws.kube-system", "aws.kube-system.svc", "aws.kube-system.svc." + n.ClusterDomain} // STS and IAM
	if host, err := os.Hostname(); err == nil && strings.ToLower(host) != n.NodeName {
		hosts = append(hosts, strings.ToLower(host))
	}
	leaf := pki.Leaf{Name: "apiserver", CommonName: "kube-apiserver", Hosts: hosts, Server: true}
	leaf.IPs = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, addr := range []netip.Addr{n.NodeIP, n.Listen.Addr(), n.Gateway, n.ServiceIP} {
		if addr.IsValid() && !addr.IsUnspecified() && !addr.IsLoopback() {
			leaf.IPs = append(leaf.IPs, addr.AsSlice())
		}
	}
	return leaf
}

// nodeName returns the configured name of the node; else the one that the node of the data
// directory has, so that its pods stay its own when the host is renamed; else the host's.
func nodeName(configured string, dir datadir.Dir) (name string, renamed bool, err error) {
	if configured != "" {
		return configured, false, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", false, fmt.Errorf("reading host name: %w (give --node-name)", err)
	}
	host = strings.ToLower(host)
	cn, err := pki.CommonName(dir.PKI(), nodeClient)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("reading the name of the node: %w (give --node-name)", err)
	}
	if former, ok := node.NameOf(cn); ok && former != "" {
		return former, former != host, nil
	}
	if err := config.ValidSubdomain(host); err != nil {
		return "", false, fmt.Errorf("the host's name cannot be that of a node (give --node-name): %w", err)
	}
	return host, false, nil
}

// nodeIP returns the configured address of the node, or the machine's own.
func nodeIP(configured string) (netip.Addr, error) {
	if configured != "" {
		return netip.ParseAddr(configured)
	}
	addr, err := machine.Address()
	if err != nil {
		return addr, fmt.Errorf("%w (give --node-ip)", err)
	}
	return addr, nil
}
