package conntrack

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestStaleEntriesAloneAreForgotten lets the kernel follow what is sent over the loopback
// of a machine, as it does once somebody has a rule that asks for it.
func TestStaleEntriesAloneAreForgotten(t *testing.T) {
	const table = "laterna-conntracktest"
	rules := "add table ip " + table + "; add chain ip " + table + " o { type filter hook output priority 0; }; add rule ip " + table + " o ct state new accept"
	if out, err := exec.Command("nft", rules).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer exec.Command("nft", "delete table ip "+table).Run()
	ports := map[string]netip.AddrPort{}
	for _, name := range []string{"stale", "other"} {
		l, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		to := netip.MustParseAddrPort(l.LocalAddr().String())
		c, err := net.Dial("udp4", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		ports[name] = to
	}
	followed := func(to netip.AddrPort) bool {
		n := 0
		_, err := ForgetUDP(func(f Flow) bool {
			if f.To == to {
				n++
			}
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	if !followed(ports["stale"]) || !followed(ports["other"]) {
		raw, _ := os.ReadFile("/proc/net/nf_conntrack")
		t.Fatalf("the kernel follows neither %v: %s", ports, raw)
	}
	n, err := ForgetUDP(func(f Flow) bool { return f.To == ports["stale"] && f.From == ports["stale"] })
	if err != nil || n != 1 {
		t.Errorf("forgot %d, %v", n, err)
	}
	if followed(ports["stale"]) || !followed(ports["other"]) {
		t.Errorf("stale %v, other %v", followed(ports["stale"]), followed(ports["other"]))
	}
}

func TestNoTupleNoName(t *testing.T) {
	if e, ok := parse(nil); ok {
		t.Errorf("an entry without addresses: %+v", e)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x08\x00\x01\x80\x04\x00\x01\x00", 3)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, ok := parse(raw); ok && len(e.name) == 0 {
			t.Errorf("%+v has no name", e)
		}
	})
}
