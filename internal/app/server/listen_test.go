package server

import (
	"net"
	"strings"
	"testing"
)

// TestIPv4IsListenedOnWhereServicesAreRouted: a port that is taken there is told at once.
func TestIPv4IsListenedOnWhereServicesAreRouted(t *testing.T) {
	for _, tt := range []struct {
		address string
		routed  bool
		want    int
	}{
		{"[::1]:0", true, 2},
		{"[::1]:0", false, 1},
		{"[::]:0", true, 1},
		{"127.0.0.1:0", true, 1},
		{"0.0.0.0:0", true, 1},
	} {
		all, err := Listen(t.Context(), tt.address, tt.routed)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != tt.want {
			t.Errorf("%s, routed %t: %d listeners, want %d", tt.address, tt.routed, len(all), tt.want)
		}
		_, port, _ := net.SplitHostPort(all[0].Addr().String())
		if want := "127.0.0.1:" + port; len(all) == 2 && all[1].Addr().String() != want {
			t.Errorf("%s: the other listens at %s, want %s", tt.address, all[1].Addr(), want)
		}
		for _, l := range all {
			l.Close()
		}
	}
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	first := "[::1]:" + port
	_, err = Listen(t.Context(), first, true)
	if err == nil || !strings.HasPrefix(err.Error(), "listening for the API at 127.0.0.1:"+port+", which is added to the IPv6 address "+first) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v", err)
	}
	l, err := net.Listen("tcp6", first)
	if err != nil {
		t.Fatalf("the IPv6 port stays taken: %v", err)
	}
	l.Close()
}
