package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/host/rtnl"
)

// Network is the pod network of one node.
type Network struct {
	// Bridge is the name of the link that all pods are connected to.
	Bridge string
	// Subnet holds the addresses of this node's pods.
	Subnet netip.Prefix
	// Gateway is this machine's address on the bridge, the first of Subnet.
	Gateway netip.Addr
}

// Setup chooses the subnet, remembers it, and writes the CNI configuration. It makes
// no link and no rule, and takes about a millisecond. The subnet is a /24 of cluster
// (or cluster itself when that is smaller), the one of the last time if it is still
// free.
func Setup(dir datadir.Dir, cluster netip.Prefix) (Network, error) {
	if !cluster.IsValid() || !cluster.Addr().Is4() || cluster.Bits() > 30 {
		return Network{}, fmt.Errorf("pod network: %v is not an IPv4 network of at least 4 addresses (see --cluster-cidr)", cluster)
	}
	routes, err := rtnl.Routes()
	if err != nil {
		return Network{}, fmt.Errorf("pod network: %w", err)
	}
	links, err := rtnl.Links()
	if err != nil {
		return Network{}, fmt.Errorf("pod network: %w", err)
	}
	subnet, err := reserve(dir, cluster.Masked(), foreign(routes, links, dir.Bridge()))
	if err != nil {
		return Network{}, fmt.Errorf("pod network: %w", err)
	}
	n := Network{Bridge: dir.Bridge(), Subnet: subnet, Gateway: subnet.Addr().Next()}
	if err := n.writeConfig(dir, mtu(routes)); err != nil {
		return Network{}, fmt.Errorf("pod network: %w", err)
	}
	return n, nil
}

// ConfDir is the directory of the CNI configuration.
func ConfDir(dir datadir.Dir) string { return filepath.Join(dir.RunDir, "cni", "net.d") }

// leaseDir is where the host-local plugin notes which addresses are taken.
func leaseDir(dir datadir.Dir) string { return filepath.Join(dir.RunDir, "cni", "leases") }

// mtu is that of the link with the default route, or 0 (the kernel's default) when
// there is none: a larger one would lose packets on the way out.
func mtu(routes []rtnl.Route) int {
	for _, r := range routes {
		if r.Dst.Bits() != 0 {
			continue
		}
		if link, err := net.InterfaceByIndex(r.Link); err == nil {
			return link.MTU
		}
	}
	return 0
}

// writeConfig writes the CNI configuration unless it is there already: the runtime
// watches the directory.
func (n Network) writeConfig(dir datadir.Dir, mtu int) error {
	raw, err := json.MarshalIndent(n.cniConfig(leaseDir(dir), mtu), "", "  ")
	if err != nil {
		return fmt.Errorf("writing CNI configuration: %w", err)
	}
	file := filepath.Join(ConfDir(dir), "10-laterna.conflist")
	if old, err := bounded.File(file, bounded.Document); err == nil && bytes.Equal(old, raw) {
		return nil
	}
	if err := os.MkdirAll(ConfDir(dir), 0o700); err != nil {
		return fmt.Errorf("writing CNI configuration: %w", err)
	}
	if err := replace.Unsynced(file, raw, 0o600); err != nil {
		return fmt.Errorf("writing CNI configuration: %w", err)
	}
	return nil
}

// cniConfig is a network configuration list of the CNI specification, version 0.4.0,
// which all plugins in use understand. Masquerading is left to network/services: the
// plugin needs iptables for it.
func (n Network) cniConfig(leases string, mtu int) map[string]any {
	return map[string]any{
		"cniVersion": "0.4.0",
		"name":       n.Bridge,
		"plugins": []any{map[string]any{
			"type": "bridge", "bridge": n.Bridge, "mtu": mtu,
			"isGateway": true, "ipMasq": false, "hairpinMode": true,
			"ipam": map[string]any{
				"type": "host-local", "dataDir": leases,
				"ranges": []any{[]any{map[string]any{"subnet": n.Subnet.String(), "gateway": n.Gateway.String()}}},
				"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

// FreebindListen listens on a TCP address that this machine need not have yet
// (IP_FREEBIND, see ip(7)): the gateway's address comes with the first pod.
func FreebindListen(ctx context.Context, addr string) (net.Listener, error) {
	config := net.ListenConfig{Control: freebind}
	l, err := config.Listen(ctx, "tcp4", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on the pod network's gateway: %w", err)
	}
	return l, nil
}

// Cleanup removes the bridge with the links of its pods, the leases and what the CNI
// library remembers of this network. The chosen subnet stays in the data directory.
func Cleanup(dir datadir.Dir) error {
	ids := sandboxes(dir)
	errs := []error{removePorts(dir.Bridge()), rtnl.DeleteLink(dir.Bridge())}
	for _, file := range cacheFiles(dir, ids) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, path := range []string{filepath.Join(dir.RunDir, "cni"), reservation(dir)} {
		errs = append(errs, os.RemoveAll(path))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing pod network: %w", err)
	}
	return nil
}

// removePorts deletes the links that are connected to the bridge.
func removePorts(bridge string) error {
	links, err := rtnl.Links()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range ports(links, bridge) {
		errs = append(errs, rtnl.DeleteLink(name))
	}
	return errors.Join(errs...)
}

func ports(links []rtnl.Link, bridge string) []string {
	var index int
	for _, l := range links {
		if l.Name == bridge {
			index = l.Index
		}
	}
	var names []string
	for _, l := range links {
		if index != 0 && l.Master == index {
			names = append(names, l.Name)
		}
	}
	return names
}

// Links returns the names of the links that belong to the data directory: the bridge
// and what is connected to it.
func Links(dir datadir.Dir) ([]string, error) {
	links, err := rtnl.Links()
	if err != nil {
		return nil, err
	}
	names := ports(links, dir.Bridge())
	for _, l := range links {
		if l.Name == dir.Bridge() {
			names = append(names, l.Name)
		}
	}
	return names, nil
}
