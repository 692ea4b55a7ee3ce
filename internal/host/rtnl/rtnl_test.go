package rtnl_test

import (
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"laterna.dev/laterna/internal/host/rtnl"
)

func TestLinksAndRoutesAgreeWithTheKernel(t *testing.T) {
	run(t, "ip", "link", "add", "lt-test0", "type", "bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "lt-test0").Run() })
	run(t, "ip", "addr", "add", "198.18.77.1/24", "dev", "lt-test0")
	run(t, "ip", "link", "set", "lt-test0", "up")

	want, err := net.InterfaceByName("lt-test0")
	if err != nil {
		t.Fatal(err)
	}
	links, err := rtnl.Links()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(links, rtnl.Link{Index: want.Index, Name: "lt-test0"}) {
		t.Errorf("links %+v lack lt-test0 with index %d", links, want.Index)
	}
	routes, err := rtnl.Routes()
	if err != nil {
		t.Fatal(err)
	}
	route := rtnl.Route{Dst: netip.MustParsePrefix("198.18.77.0/24"), Link: want.Index}
	if !slices.Contains(routes, route) {
		t.Errorf("routes %+v lack %+v", routes, route)
	}

	if err := rtnl.DeleteLink("lt-test0"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.InterfaceByName("lt-test0"); err == nil {
		t.Error("the link is still there")
	}
	if err := rtnl.DeleteLink("lt-test0"); err != nil {
		t.Errorf("deleting a link that is gone: %v", err)
	}
	if err := rtnl.DeleteLink("lo"); err == nil {
		t.Error("the kernel's refusal to delete lo is not reported")
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
}
