package hostresources_test

import (
	"context"
	"errors"
	"io"
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

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/hostresources"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// system is everything below the agent, on one data directory.
type system struct {
	*runtimetest.Machine
	network bridge.Network
}

var serviceRange = netip.MustParsePrefix("198.19.0.0/16")

func start(t *testing.T, name string) *system {
	t.Helper()
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	s := &system{}
	if s.network, err = bridge.Setup(dir, netip.MustParsePrefix("198.18.0.0/16")); err != nil {
		t.Fatal(err)
	}
	s.Machine = runtimetest.StartOn(t, dir, bridge.ConfDir(dir))
	router, err := services.New(services.Config{
		Table: dir.HostName(), Bridge: s.network.Bridge, Subnet: s.network.Subnet, Range: serviceRange,
		Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	api := s.serve(t, name)
	err = router.Begin(t.Context(), []services.Fixed{{
		Address: netip.AddrPortFrom(serviceRange.Addr().Next(), 443), Protocol: services.TCP, Backend: api,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve answers with a name on the gateway's address, before the bridge exists.
func (s *system) serve(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	l, err := bridge.FreebindListen(t.Context(), s.network.Gateway.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, name)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func remove(t *testing.T, dir datadir.Dir) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := hostresources.RemoveAll(ctx, dir, 0, clock.Real(), slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("removing host resources: %v", err)
	}
}

// snapshot is what the machine has, whoever made it.
func snapshot(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, command := range []string{
		"ip -o link | awk '{print $2}'", "nft list tables", "awk '{print $5}' /proc/self/mountinfo",
		"find /sys/fs/cgroup -type d | grep laterna-", "ls /var/lib/cni/results", "ls /run/containerd/s", "ls /run/netns",
	} {
		out, _ := exec.Command("sh", "-c", command+" 2>/dev/null").Output() // a missing directory is an empty one
		for line := range strings.Lines(string(out)) {
			all = append(all, command+": "+strings.TrimSpace(line))
		}
	}
	return all
}

func TestNothingIsLeftAfterRemoveAll(t *testing.T) {
	before := snapshot(t)
	s := start(t, "one")
	s.Run(t, "a", false, "sleep", "1000")
	s.Run(t, "b", false, "sleep", "1000")

	list, err := hostresources.List(t.Context(), s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[hostresources.Kind]int{}
	for _, r := range list {
		kinds[r.Kind]++
	}
	for _, kind := range []hostresources.Kind{
		hostresources.Process, hostresources.Mount, hostresources.Link, hostresources.Table, hostresources.Cgroup, hostresources.Socket,
	} {
		if kinds[kind] == 0 {
			t.Errorf("no %s is listed while two pods run", kind)
		}
	}
	if kinds[hostresources.Process] != 1+2+4 {
		t.Errorf("%d processes are listed, want the daemon, two shims and four containers: %v", kinds[hostresources.Process], list)
	}

	remove(t, s.Dir)
	if list, err = hostresources.List(t.Context(), s.Dir); err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	for _, thing := range snapshot(t) {
		if !slices.Contains(before, thing) && strings.Contains(thing, s.Dir.Hash) {
			t.Errorf("left on the machine: %s", thing)
		}
	}
	remove(t, s.Dir) // again, with nothing there
}

func TestPodsReachTheirSystemAndEachOther(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	api := net.JoinHostPort(serviceRange.Addr().Next().String(), "443")
	for name, s := range map[string]*system{"a": a, "b": b} {
		if got := s.output(t, "ask", "sh", "-c", "nc 198.19.0.1 443"); got != name {
			t.Errorf("%s from a pod of %s answers %q", api, name, got)
		}
		server, _ := s.Run(t, "server", false, "sh", "-c", "while true; do echo peer | nc -l -p 7000; done")
		status, err := s.CRI.SandboxStatus(t.Context(), server)
		if err != nil || len(status.IPs) == 0 {
			t.Fatalf("status of the server's sandbox: %+v, %v", status, err)
		}
		if ip := netip.MustParseAddr(status.IPs[0]); !s.network.Subnet.Contains(ip) {
			t.Errorf("pod of %s has address %v, want one of %v", name, ip, s.network.Subnet)
		}
		if got := s.output(t, "client", "sh", "-c", "sleep 0.2; nc "+status.IPs[0]+" 7000"); got != "peer" {
			t.Errorf("another pod of %s answers %q", name, got)
		}
	}
	remove(t, a.Dir)
	if got := b.output(t, "later", "sh", "-c", "nc 198.19.0.1 443"); got != "b" {
		t.Errorf("after the other system is gone: %q", got)
	}
}

// output runs a pod and returns what its container wrote.
func (s *system) output(t *testing.T, name string, command ...string) string {
	t.Helper()
	_, id := s.Run(t, name, false, command...)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, err := s.CRI.ContainerStatus(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if status.State == cri.ContainerExited {
			raw, err := os.ReadFile(status.LogPath)
			if err != nil {
				t.Fatal(err)
			}
			// A line of the log is: time, stream, F or P, text.
			parts := strings.SplitN(strings.TrimSpace(string(raw)), " ", 4)
			return parts[len(parts)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("container %s still runs after 10 s", name)
		}
	}
}

// After a reboot the run directory is empty and no process lives, but containerd's
// records in the data directory are still there.
func TestStartAfterAReboot(t *testing.T) {
	s := start(t, "one")
	s.Run(t, "a", false, "sleep", "1000")
	records := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", s.Dir.Containerd(), records).CombinedOutput(); err != nil {
		t.Fatalf("copying records: %v: %s", err, out)
	}
	remove(t, s.Dir)
	if err := os.RemoveAll(s.Dir.Containerd()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(records, s.Dir.Containerd()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir.Containerd(), "boot-id"), []byte("another boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := datadir.Open(s.Dir.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.Setup(dir, netip.MustParsePrefix("198.18.0.0/16")); err != nil {
		t.Fatal(err)
	}
	m := runtimetest.StartOn(t, dir, bridge.ConfDir(dir))
	if !m.Info.Rebooted {
		t.Error("the reboot was not noticed")
	}
	list, err := m.CRI.ListSandboxes(t.Context(), cri.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, sandbox := range list {
		if sandbox.State != cri.SandboxNotReady {
			t.Errorf("sandbox %s is ready after a reboot", sandbox.ID)
		}
		if err := errors.Join(m.CRI.StopSandbox(t.Context(), sandbox.ID), m.CRI.RemoveSandbox(t.Context(), sandbox.ID)); err != nil {
			t.Errorf("removing a stale sandbox: %v", err)
		}
	}
	m.Run(t, "a", false, "sleep", "1000")
}
