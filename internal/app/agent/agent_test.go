package agent

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
)

func TestNetworkIsOnlyForTheRuntimeOfOurOwn(t *testing.T) {
	ranges := config.Default().Network
	for _, tt := range []struct {
		node config.Node
		warn string
	}{
		{config.Node{}, ""},
		{config.Node{CRIEndpoint: "unix:///run/crio/crio.sock"}, ""},
		{config.Node{Enabled: true, CRIEndpoint: "unix:///run/crio/crio.sock"}, "another runtime brings its own pod network"},
	} {
		var log bytes.Buffer
		dir := datadir.Dir{Path: t.TempDir()}
		network, err := Network(tt.node, ranges, dir, clock.Real(), slog.New(slog.NewTextHandler(&log, nil)))
		if network != nil || err != nil {
			t.Errorf("%+v: a network %v, error %v", tt.node, network, err)
		}
		if !strings.Contains(log.String(), tt.warn) || tt.warn == "" && log.Len() > 0 {
			t.Errorf("%+v: logged %q, want %q", tt.node, log.String(), tt.warn)
		}
		if left, err := os.ReadDir(dir.Path); err != nil || len(left) > 0 {
			t.Errorf("%+v: made %v, %v", tt.node, left, err)
		}
	}
}

func TestRuntimeOfSomebodyElseIsReachedWhereItListens(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "cri.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dir := datadir.Dir{Path: t.TempDir()}
	runtime, err := Runtime(config.Node{Enabled: true, CRIEndpoint: "unix://" + socket}, dir, clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e, err := (provider{runtime}).Endpoint(t.Context())
	// The nil of no images must not become an interface that is not nil.
	if err != nil || e.CRI != socket || e.Containerd != "" || e.Images != nil {
		t.Errorf("endpoint %+v, %v", e, err)
	}
	if left, err := os.ReadDir(dir.Path); err != nil || len(left) > 0 {
		t.Errorf("made %v, %v: nothing of it is ours", left, err)
	}
}

func TestAddressOfAnotherMachineIsRefusedWithAHint(t *testing.T) {
	dir := datadir.Dir{Path: t.TempDir()}
	_, err := Listen(t.Context(), netip.MustParseAddr("192.0.2.1"), dir, slog.Default()) // a documentation address (RFC 5737)
	if err == nil || !strings.HasPrefix(err.Error(), "listening for the node's own API: ") || !strings.Contains(err.Error(), "--node-ip") {
		t.Errorf("got %v", err)
	}
	l, err := Listen(t.Context(), netip.MustParseAddr("127.0.0.1"), dir, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestNodeKeepsItsPortWhereItIsFree: the API calls it at the port of before the start until
// the node's status has another one.
func TestNodeKeepsItsPortWhereItIsFree(t *testing.T) {
	dir := datadir.Dir{Path: t.TempDir()}
	var log bytes.Buffer
	listen := func() (l net.Listener, port int) {
		t.Helper()
		l, err := Listen(t.Context(), netip.MustParseAddr("127.0.0.1"), dir, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l, l.Addr().(*net.TCPAddr).Port
	}
	l, first := listen()
	l.Close()
	l, again := listen()
	if again != first {
		t.Errorf("port %d after %d", again, first)
	}
	other, second := listen() // the first is taken
	if second == first || second == 0 {
		t.Errorf("port %d beside %d", second, first)
	}
	l.Close()
	other.Close()
	l, third := listen()
	if third != second {
		t.Errorf("port %d after %d", third, second)
	}
	l.Close()
	for _, damaged := range []string{"", "x", "-1", "70000", "0"} {
		if err := os.WriteFile(dir.NodePort(), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		l, port := listen()
		l.Close()
		if l, same := listen(); same != port {
			t.Errorf("file of %q: port %d after %d", damaged, same, port)
		} else {
			l.Close()
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	dir.Path = filepath.Join(dir.Path, "missing")
	if listen(); !strings.Contains(log.String(), "is not remembered") {
		t.Errorf("logged %q", &log)
	}
}
