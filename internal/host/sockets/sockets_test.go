package sockets

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestListenersAreFoundWithTheirProcess(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		host := "127.0.0.1"
		if strings.HasSuffix(network, "6") {
			host = "::1"
		}
		var at net.Addr
		if strings.HasPrefix(network, "tcp") {
			l, err := net.Listen(network, net.JoinHostPort(host, "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			at = l.Addr()
		} else {
			c, err := net.ListenPacket(network, net.JoinHostPort(host, "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			at = c.LocalAddr()
		}
		want := netip.MustParseAddrPort(at.String())
		found, err := Listening(Protocol(network[:3]), want.Port())
		if err != nil || len(found) != 1 || found[0].Addr != want.Addr() || found[0].Port != want.Port() {
			t.Errorf("%s: found %+v, %v; want %v", network, found, err, want)
			continue
		}
		if who := found[0].Holder(); who != fmt.Sprintf("sockets.test (process %d)", os.Getpid()) {
			t.Errorf("%s: held by %q", network, who)
		}
	}
}

func TestClientsAndOtherPortsAreNoListeners(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found, err := Listening(TCP, netip.MustParseAddrPort(c.LocalAddr().String()).Port())
	if err != nil || len(found) != 0 {
		t.Errorf("a client counts as listener: %+v, %v", found, err)
	}
}

func FuzzTableOfSockets(f *testing.F) {
	f.Add([]byte("  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, l := range parse(raw, "0A", 8080) {
			if l.Port != 8080 || !l.Addr.IsValid() {
				t.Errorf("%+v of %q", l, raw)
			}
		}
	})
}
