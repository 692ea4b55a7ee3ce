// Package identity is as whom the parts of a system know one another: what machine and
// system are called, where they are reached, and the certificates that say so.
//
// It owns which certificates there are and what they are good for. How they are made, kept
// and renewed lives in internal/pki.
package identity

import (
	"log/slog"
	"net"

	"laterna.dev/laterna/internal/authz/node"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/registry/rbac/bootstrap"
)

// nodeClient is the name of the files of the agent's client certificate.
const nodeClient = "node-client"

// Identity is every certificate of the system. All are renewed in place.
type Identity struct {
	Authority *pki.Authority
	// Server is the API server's, Admin the administrator's.
	Server, Admin *pki.Pair
	// Kubelets is whom the API server is when it dials an agent.
	Kubelets *pki.Pair
	// Node and NodeServer are the agent's client and serving certificates, nil
	// without a node.
	Node, NodeServer *pki.Pair
	// Services is whom the node is when it follows services and their endpoints, nil
	// without a node.
	Services *pki.Pair
	// DNS is as whom the node's DNS reads, nil without a node.
	DNS *pki.Pair
	// pairs are all of them, for renewal.
	pairs []*pki.Pair
}

// Open reads or makes the certificates; those of a node only where one runs.
func Open(dir datadir.Dir, n Names, withNode bool, now clock.Wall) (*Identity, error) {
	a, err := pki.OpenAuthority(dir.PKI(), now)
	if err != nil {
		return nil, err
	}
	id := &Identity{Authority: a}
	user := node.UserName(n.NodeName)
	all := []struct {
		pair **pki.Pair
		leaf pki.Leaf
	}{
		{&id.Server, n.serverLeaf()},
		{&id.Admin, pki.Leaf{Name: "admin", CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}, Client: true}},
		{&id.Kubelets, pki.Leaf{Name: "apiserver-kubelet-client", CommonName: bootstrap.KubeletClient, Client: true}},
		{&id.Node, pki.Leaf{Name: nodeClient, CommonName: user, Organizations: []string{node.Group}, Client: true}},
		{&id.NodeServer, pki.Leaf{Name: "node-server", CommonName: user, Organizations: []string{node.Group}, Hosts: []string{n.NodeName}, IPs: []net.IP{n.NodeIP.AsSlice()}, Server: true}},
		{&id.Services, pki.Leaf{Name: "kube-proxy", CommonName: bootstrap.KubeProxy, Client: true}},
		{&id.DNS, pki.Leaf{Name: "cluster-dns", CommonName: bootstrap.CoreDNS, Client: true}},
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

// WriteKubeconfig writes the administrator's kubeconfig, whose server is at url, to path.
func (id *Identity) WriteKubeconfig(path, url string) error {
	return pki.WriteKubeconfig(path, url, id.Authority, id.Admin)
}

// Renewer keeps the certificates valid, and the kubeconfig at path up to date with them.
func (id *Identity) Renewer(path, url string, wall clock.Wall, log *slog.Logger) *pki.Renewer {
	return &pki.Renewer{
		Pairs: id.pairs,
		Clock: wall,
		Log:   log,
		Renewed: func(p *pki.Pair) error {
			if p != id.Admin {
				return nil
			}
			return id.WriteKubeconfig(path, url)
		},
	}
}
