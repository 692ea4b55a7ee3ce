package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
)

// nodeClient is the name of the files of the agent's client certificate.
const nodeClient = "node-client"

// identity is every certificate of the system. All are renewed in place.
type identity struct {
	authority *pki.Authority
	server    *pki.Pair
	admin     *pki.Pair
	// kubelets is whom the API server is when it dials an agent.
	kubelets *pki.Pair
	// node and nodeServer are the agent's client and serving certificates, nil
	// without a node.
	node, nodeServer *pki.Pair
	// pairs are all of them, for renewal.
	pairs []*pki.Pair
}

// names are what the certificates are good for.
type names struct {
	nodeName      string
	nodeIP        netip.Addr
	listen        netip.AddrPort
	gateway       netip.Addr // invalid without a pod network
	serviceIP     netip.Addr
	clusterDomain string
}

// openIdentity reads or makes the certificates; those of a node only where one runs.
func openIdentity(dir datadir.Dir, n names, withNode bool, now clock.Wall) (*identity, error) {
	a, err := pki.OpenAuthority(dir.PKI(), now)
	if err != nil {
		return nil, err
	}
	id := &identity{authority: a}
	user := node.UserName(n.nodeName)
	all := []struct {
		pair **pki.Pair
		leaf pki.Leaf
	}{
		{&id.server, n.serverLeaf()},
		{&id.admin, pki.Leaf{Name: "admin", CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}, Client: true}},
		{&id.kubelets, pki.Leaf{Name: "apiserver-kubelet-client", CommonName: bootstrap.KubeletClient, Client: true}},
		{&id.node, pki.Leaf{Name: nodeClient, CommonName: user, Organizations: []string{node.Group}, Client: true}},
		{&id.nodeServer, pki.Leaf{Name: "node-server", CommonName: user, Organizations: []string{node.Group}, Hosts: []string{n.nodeName}, IPs: []net.IP{n.nodeIP.AsSlice()}, Server: true}},
	}
	if !withNode {
		all = all[:3]
	}
	for _, want := range all {
		if *want.pair, err = a.Pair(want.leaf); err != nil {
			return nil, err
		}
		id.pairs = append(id.pairs, *want.pair)
	}
	return id, nil
}

// serverLeaf names every way in which clients reach the API server.
func (n names) serverLeaf() pki.Leaf {
	hosts := []string{"localhost", n.nodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + n.clusterDomain}
	if host, err := os.Hostname(); err == nil && strings.ToLower(host) != n.nodeName {
		hosts = append(hosts, strings.ToLower(host))
	}
	leaf := pki.Leaf{Name: "apiserver", CommonName: "kube-apiserver", Hosts: hosts, Server: true}
	leaf.IPs = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, addr := range []netip.Addr{n.nodeIP, n.listen.Addr(), n.gateway, n.serviceIP} {
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
	if err := validSubdomain(host); err != nil {
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
