package identity

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
)

func open(t *testing.T) datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir.RunDir) })
	return dir
}

func TestNodeName(t *testing.T) {
	dir := open(t)
	if got, renamed, err := nodeName("given", dir); err != nil || got != "given" || renamed {
		t.Errorf("got %q, %v, %v", got, renamed, err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host = strings.ToLower(host)
	if got, renamed, err := nodeName("", dir); err != nil || got != host || renamed {
		t.Errorf("got %q, %v, %v; want the host name %q in lower case", got, renamed, err, host)
	}
	for former, renamed := range map[string]bool{"former": true, host: false} {
		if _, err := Open(dir, Names{NodeName: former, NodeIP: netip.MustParseAddr("10.0.0.1")}, true, clock.Real()); err != nil {
			t.Fatal(err)
		}
		if got, was, err := nodeName("", dir); err != nil || got != former || was != renamed {
			t.Errorf("got %q, %v, %v; want the name that the node has, %q", got, was, err, former)
		}
		if got, _, err := nodeName("given", dir); err != nil || got != "given" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestNodeIP(t *testing.T) {
	if got, err := nodeIP("10.1.2.3"); err != nil || got != netip.MustParseAddr("10.1.2.3") {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := nodeIP(""); err != nil || !got.Is4() || got.IsUnspecified() {
		t.Errorf("got %v, %v; want an address of this machine", got, err)
	}
}

func TestServiceLeadsToAnAddressOfThisMachine(t *testing.T) {
	for _, tc := range []struct{ listen, gateway, want string }{
		{"127.0.0.1:6443", "", "127.0.0.1:6443"},
		{"127.0.0.1:6443", "10.244.0.1", "10.244.0.1:6443"},
		{"10.0.0.6:6443", "", "10.0.0.6:6443"},
		{"0.0.0.0:6443", "", "10.0.0.5:6443"},
		{"[::]:6443", "", "10.0.0.5:6443"},
		{"[::]:6443", "10.244.0.1", "10.244.0.1:6443"},
	} {
		n := Names{NodeIP: netip.MustParseAddr("10.0.0.5"), Listen: netip.MustParseAddrPort(tc.listen)}
		if tc.gateway != "" {
			n.Gateway = netip.MustParseAddr(tc.gateway)
		}
		if got := n.Advertised().String(); got != tc.want {
			t.Errorf("listening on %s with gateway %q: the service leads to %s, want %s", tc.listen, tc.gateway, got, tc.want)
		}
	}
}

func TestServerLeafNamesEveryWay(t *testing.T) {
	leaf := Names{
		NodeName: "node-a", ClusterDomain: "example.local",
		NodeIP: netip.MustParseAddr("10.0.0.5"), Listen: netip.MustParseAddrPort("0.0.0.0:6443"),
		Gateway: netip.MustParseAddr("10.244.0.1"), ServiceIP: netip.MustParseAddr("10.96.0.1"),
	}.serverLeaf()
	for _, host := range []string{"localhost", "node-a", "kubernetes.default.svc", "kubernetes.default.svc.example.local"} {
		if !slices.Contains(leaf.Hosts, host) {
			t.Errorf("%s is missing in %v", host, leaf.Hosts)
		}
	}
	var ips []string
	for _, ip := range leaf.IPs {
		ips = append(ips, ip.String())
	}
	if want := []string{"127.0.0.1", "::1", "10.0.0.5", "10.244.0.1", "10.96.0.1"}; !slices.Equal(ips, want) {
		t.Errorf("addresses %v, want %v (not the unspecified one)", ips, want)
	}
}

func TestCertificatesOfANodeOnlyWhereOneRuns(t *testing.T) {
	dir := datadir.Dir{Path: t.TempDir()}
	n := Names{NodeName: "a", NodeIP: netip.MustParseAddr("127.0.0.1"), Listen: netip.MustParseAddrPort("127.0.0.1:6443"), ClusterDomain: "cluster.local"}
	without, err := Open(dir, n, false, clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	if without.Node != nil || without.NodeServer != nil || without.Services != nil || len(without.pairs) != 3 {
		t.Errorf("without a node: %+v", without)
	}
	with, err := Open(dir, n, true, clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	if with.Node == nil || with.NodeServer == nil || with.Services == nil || with.DNS == nil || len(with.pairs) != 7 {
		t.Errorf("with a node: %+v", with)
	}
}

func TestLocalClientsReachTheListener(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "10.0.0.1:1": "10.0.0.1:1"} {
		if got := (Names{Listen: netip.MustParseAddrPort(listen)}).Local().String(); got != want {
			t.Errorf("listening on %s, clients go to %s, want %s", listen, got, want)
		}
	}
}
