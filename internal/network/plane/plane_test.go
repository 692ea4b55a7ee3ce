package plane

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
)

// running is a plane that runs until the test ends.
func running(t *testing.T) (*Plane, datadir.Dir) {
	t.Helper()
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{
		Dir: dir, Pods: netip.MustParsePrefix("198.18.0.0/16"), Services: netip.MustParsePrefix("198.19.0.0/16"),
		Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "https://127.0.0.1:1"}) // nobody answers
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan net.Listener, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- p.Run(ctx, API{
			Service: netip.MustParseAddr("198.19.0.1"), Listen: netip.MustParseAddrPort("127.0.0.1:7999"), Host: netip.MustParseAddrPort("127.0.0.1:7999"),
			Serve:  func(l net.Listener) error { served <- l; return nil },
			Client: client, Node: "here",
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		(<-served).Close()
		for _, err := range []error{nftables.RemoveAll(context.Background(), dir.HostName()), bridge.Cleanup(dir), os.RemoveAll(dir.RunDir)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return p, dir
}

// soon fails unless what is wanted becomes so within seconds, which is less than the
// next look that nothing has asked for.
func soon(t *testing.T, what string, so func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(check / 3); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = so(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
}

func TestRulesThatSomebodyRemovesAreWrittenAgain(t *testing.T) {
	p, dir := running(t)
	var before []string
	soon(t, "written first", func() (err error) {
		if ok, err := p.guard.Intact(t.Context()); err != nil || !ok {
			return fmt.Errorf("ports %v, %v", ok, err)
		}
		before, err = rules(t, dir)
		return err
	})
	time.Sleep(settle + time.Second) // so that it is listened for changes, and the plane's own are over
	for _, args := range [][]string{
		{"flush", "table", "ip", dir.HostName()}, {"delete", "table", "ip", dir.HostName()},
		{"flush", "chain", "ip", dir.HostName(), "prerouting"}, {"insert", "rule", "ip", dir.HostName(), "input", "drop"},
		{"flush", "map", "ip", dir.HostName(), "fixed-pods"},
	} {
		run(t, "nft", args...)
		soon(t, "after nft "+strings.Join(args, " "), func() error {
			after, err := rules(t, dir)
			if err == nil && !slices.Equal(before, after) {
				err = fmt.Errorf("rules\n%s\nwere\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
			return err
		})
	}
}

// rules are those of the table of services but for its stamp.
func rules(t *testing.T, dir datadir.Dir) ([]string, error) {
	t.Helper()
	lines, err := nftables.Listing(t.Context(), nftables.IPv4, dir.HostName())
	return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "0x") }), err
}

func TestBridgeThatSomebodyRemovesIsMadeAgain(t *testing.T) {
	p, dir := running(t)
	port := "veth" + dir.Hash[:6]
	run(t, "ip", "link", "add", port, "type", "veth", "peer", "name", "p"+port)
	t.Cleanup(func() { exec.Command("ip", "link", "del", port).Run() })
	cache := filepath.Join("/var/lib/cni/results", dir.Bridge()+"-test-eth0")
	if err := os.MkdirAll(filepath.Dir(cache), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cache, fmt.Appendf(nil, `{"result":{"interfaces":[{"name":%q,"mac":"52:7b:65:e6:17:56"},{"name":%q}]}}`, dir.Bridge(), port), 0o600); err != nil {
		t.Fatal(err)
	}
	connected := func() error {
		out, err := exec.Command("ip", "-o", "link", "show", "master", dir.Bridge()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), port) {
			return fmt.Errorf("%v: %s", err, out)
		}
		out, err = exec.Command("ip", "-o", "addr", "show", "dev", dir.Bridge()).CombinedOutput()
		if err != nil || !strings.Contains(string(out), p.Gateway().String()) {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	}
	time.Sleep(200 * time.Millisecond) // so that it is listened for changes
	run(t, "ip", "link", "set", port, "up")
	soon(t, "a pod's link that changes", connected)
	for _, args := range [][]string{{"link", "del", dir.Bridge()}, {"addr", "flush", "dev", dir.Bridge()}, {"link", "set", port, "nomaster"}} {
		run(t, "ip", args...)
		soon(t, "after ip "+strings.Join(args, " "), connected)
		soon(t, "translated after ip "+strings.Join(args, " "), func() error {
			raw, err := os.ReadFile("/sys/class/net/" + dir.Bridge() + "/bridge/nf_call_iptables")
			if err == nil && strings.TrimSpace(string(raw)) != "1" {
				err = fmt.Errorf("nf_call_iptables is %s", raw)
			}
			return err
		})
	}
}
