package bridge

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/rtnl"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestChoose(t *testing.T) {
	tests := []struct {
		name, cluster, remembered string
		taken                     []netip.Prefix
		want                      string // or "" when none is free
	}{
		{"first", "10.244.0.0/16", "", nil, "10.244.0.0/24"},
		{"first free", "10.244.0.0/16", "", prefixes("10.244.0.0/24", "10.244.1.128/25"), "10.244.2.0/24"},
		{"remembered", "10.244.0.0/16", "10.244.7.0/24", prefixes("10.244.0.0/24"), "10.244.7.0/24"},
		{"remembered but taken", "10.244.0.0/16", "10.244.7.0/24", prefixes("10.244.7.3/32"), "10.244.0.0/24"},
		{"remembered of another cluster network", "10.245.0.0/16", "10.244.7.0/24", nil, "10.245.0.0/24"},
		{"small network", "10.244.9.0/28", "", nil, "10.244.9.0/28"},
		{"network of several subnets", "10.244.8.0/23", "", prefixes("10.244.8.0/24"), "10.244.9.0/24"},
		{"all taken", "10.244.8.0/23", "", prefixes("10.0.0.0/8"), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var remembered netip.Prefix
			if test.remembered != "" {
				remembered = netip.MustParsePrefix(test.remembered)
			}
			got, err := choose(netip.MustParsePrefix(test.cluster), remembered, test.taken)
			if (err != nil) != (test.want == "") || err == nil && got.String() != test.want {
				t.Errorf("got %v, %v; want %q", got, err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), "--cluster-cidr") {
				t.Errorf("error %v does not name the flag", err)
			}
		})
	}
}

func TestForeignLeavesOutDefaultRouteAndOwnBridge(t *testing.T) {
	routes := []rtnl.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Link: 2},
		{Dst: netip.MustParsePrefix("192.0.2.0/24"), Link: 2},
		{Dst: netip.MustParsePrefix("10.244.0.0/24"), Link: 7},
		{Dst: netip.MustParsePrefix("10.9.0.0/16")},
	}
	got := foreign(routes, []rtnl.Link{{Index: 7, Name: "lt-own"}}, "lt-own")
	if want := prefixes("192.0.2.0/24", "10.9.0.0/16"); !equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = foreign(routes, nil, "lt-own")
	if want := prefixes("192.0.2.0/24", "10.244.0.0/24", "10.9.0.0/16"); !equal(got, want) {
		t.Errorf("without own bridge: got %v, want %v", got, want)
	}
}

func equal(a, b []netip.Prefix) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func testDir(t *testing.T) datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Cleanup(dir); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir.RunDir)
	})
	return dir
}

func TestSystemsOnOneMachineGetSubnetsOfTheirOwn(t *testing.T) {
	cluster := netip.MustParsePrefix("198.18.0.0/16") // for tests (RFC 2544)
	seen := map[netip.Prefix]bool{}
	var dirs []datadir.Dir
	for range 3 {
		dir := testDir(t)
		dirs = append(dirs, dir)
		n, err := Setup(dir, cluster)
		if err != nil {
			t.Fatal(err)
		}
		if seen[n.Subnet] {
			t.Errorf("subnet %v was given twice", n.Subnet)
		}
		seen[n.Subnet] = true
		if n.Gateway != n.Subnet.Addr().Next() || n.Bridge != dir.Bridge() {
			t.Errorf("network %+v", n)
		}
		again, err := Setup(dir, cluster)
		if err != nil || again != n {
			t.Errorf("second setup: %+v, %v; want %+v", again, err, n)
		}
	}
	before, err := readSubnet(filepath.Join(dirs[1].Network(), "subnet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Cleanup(dirs[1]); err != nil {
		t.Fatal(err)
	}
	after, err := Setup(dirs[1], cluster)
	if err != nil || after.Subnet != before {
		t.Errorf("after clean-up: %v, %v; want the remembered %v", after.Subnet, err, before)
	}
}

func TestSetupRefusesImpossibleNetworks(t *testing.T) {
	dir := testDir(t)
	for _, cluster := range []netip.Prefix{{}, netip.MustParsePrefix("fd00::/64"), netip.MustParsePrefix("10.0.0.0/31")} {
		if _, err := Setup(dir, cluster); err == nil || !strings.Contains(err.Error(), "--cluster-cidr") {
			t.Errorf("%v: error %v, want one that names --cluster-cidr", cluster, err)
		}
	}
}

func TestFreebindListenBeforeTheAddressExists(t *testing.T) {
	l, err := FreebindListen(t.Context(), "198.18.99.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := net.Listen("tcp4", "198.18.99.1:0"); err == nil {
		t.Error("the address is there; the test shows nothing")
	}
	if l.Addr().(*net.TCPAddr).Port == 0 {
		t.Error("no port")
	}
}

func TestIptablesDiagnosis(t *testing.T) {
	docker := "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N DOCKER\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n"
	tests := []struct{ name, rules, want string }{
		{"open", "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n", ""},
		{"docker", docker, "iptables -I DOCKER-USER -i lt-x -j ACCEPT; iptables -I DOCKER-USER -o lt-x -j ACCEPT"},
		{"docker, mended", docker + "-A DOCKER-USER -o lt-x -j ACCEPT\n-A DOCKER-USER -i lt-x -j ACCEPT\n", ""},
		{"docker, mended for another", docker + "-A DOCKER-USER -o lt-xy -j ACCEPT\n-A DOCKER-USER -i lt-xy -j ACCEPT\n", "iptables -I DOCKER-USER -i lt-x -j ACCEPT; iptables -I DOCKER-USER -o lt-x -j ACCEPT"},
		{"other", "-P FORWARD DROP\n", "iptables -I FORWARD -i lt-x -j ACCEPT; iptables -I FORWARD -o lt-x -j ACCEPT"},
	}
	for _, test := range tests {
		got := iptablesDiagnosis(test.rules, "iptables", "lt-x")
		if (got == nil) != (test.want == "") || got != nil && got.Fix != test.want {
			t.Errorf("%s: got %+v, want fix %q", test.name, got, test.want)
		}
	}
}

func TestNftDiagnosis(t *testing.T) {
	chain := func(table, hook, policy string) string {
		return `{"nftables":[{"metainfo":{"version":"1.0.6"}},{"chain":{"family":"inet","table":"` + table +
			`","name":"fwd","handle":1,"type":"filter","hook":"` + hook + `","prio":0,"policy":"` + policy + `"}}]}`
	}
	for raw, want := range map[string]bool{
		chain("corp", "forward", "drop"):   true,
		chain("corp", "forward", "accept"): false,
		chain("corp", "input", "drop"):     false,
		chain("filter", "forward", "drop"): false,
		"no json":                          false,
	} {
		got := nftDiagnosis([]byte(raw), "lt-x")
		if (got != nil) != want {
			t.Errorf("%s: got %+v, want a diagnosis: %v", raw, got, want)
		}
		if got != nil && got.Fix != "nft insert rule inet corp fwd iifname lt-x accept; nft insert rule inet corp fwd oifname lt-x accept" {
			t.Errorf("fix %q", got.Fix)
		}
	}
}
