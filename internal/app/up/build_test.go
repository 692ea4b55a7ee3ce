package up

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/app/agent"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/app/identity"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/controller/manager"
	"laterna.dev/laterna/internal/datadir"
)

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestLockThatADeadProcessHasLeftIsWaitedFor has a child hold it, as one does between its
// beginning and that of its program.
func TestLockThatADeadProcessHasLeftIsWaitedFor(t *testing.T) {
	_, dir := settings(t)
	path := filepath.Join(dir.Path, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		t.Fatal(err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, dead.Process.Pid)
	child := exec.Command("sleep", "1")
	child.ExtraFiles = []*os.File{f}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	f.Close()
	if _, err := dir.Lock(); !errors.Is(err, datadir.ErrLocked) {
		t.Fatalf("the child does not hold the lock: %v", err)
	}
	release, err := lock(t.Context(), dir, clock.Real())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	start := time.Now()
	if _, err := lock(t.Context(), dir, clock.Real()); !errors.Is(err, datadir.ErrLocked) || time.Since(start) > leftTimeout/2 {
		t.Errorf("of a process that runs: %v after %s", err, time.Since(start))
	}
}

// settings are those of a server without a node in a directory of its own.
func settings(t *testing.T) (config.Config, datadir.Dir) {
	t.Helper()
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir.RunDir) })
	c := config.Default()
	c.DataDir, c.Serving.Listen, c.Node.Enabled, c.Node.Name = dir.Path, free(t), false, "n"
	c.Tokens.SigningAlgorithm = "ES256"
	return c, dir
}

func guest(t *testing.T) Guest {
	return Guest{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Ready: func() { t.Error("ready") }}
}

// TestFailedStartLeavesNothingOpen: a guest's process goes on, and may start another system
// at the same place, or the same one when the cause is removed.
func TestFailedStartLeavesNothingOpen(t *testing.T) {
	for name, spoiled := range map[string]func(datadir.Dir) string{
		"the store":        datadir.Dir.Etcd,
		"the certificates": datadir.Dir.PKI,
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := settings(t)
			put(t, spoiled(dir))
			if err := RunAsGuest(t.Context(), c, guest(t)); err == nil {
				t.Fatal("it has started")
			}
			l, err := net.Listen("tcp", c.Serving.Listen)
			if err != nil {
				t.Fatalf("the port stays taken: %v", err)
			}
			l.Close()
			release, err := dir.Lock()
			if err != nil {
				t.Fatalf("the directory stays taken: %v", err)
			}
			release()
			if err := os.Remove(spoiled(dir)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			again, ready := guest(t), false
			again.Ready = func() { ready = true; cancel() }
			if err := RunAsGuest(ctx, c, again); err != nil || !ready {
				t.Errorf("with the cause removed: ready %t, %v", ready, err)
			}
		})
	}
}

// put makes a file where a directory is to be.
func put(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTakenPortIsToldBeforeTheStoreIsOpened(t *testing.T) {
	c, dir := settings(t)
	l, err := net.Listen("tcp", c.Serving.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = RunAsGuest(t.Context(), c, guest(t))
	if err == nil || !strings.HasPrefix(err.Error(), "listening for the API: ") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir.Etcd()); !os.IsNotExist(err) {
		t.Errorf("a store was made: %v", err)
	}
}

func TestSecondProcessChangesNothing(t *testing.T) {
	c, dir := settings(t)
	release, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := RunAsGuest(t.Context(), c, guest(t)); err == nil || !strings.Contains(err.Error(), dir.Path) {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{dir.Kubeconfig(), dir.PKI(), dir.Etcd()} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s was made: %v", path, err)
		}
	}
}

func TestAgentsClockMovesWithTheSystems(t *testing.T) {
	wall := clock.Real()
	c := newClocks(wall, -time.Hour, true)
	ahead := func() time.Duration { return c.agent.Now().Sub(wall.Now()).Round(time.Minute) }
	if ahead() != -time.Hour {
		t.Errorf("the agent is %s ahead", ahead())
	}
	c.system.SetOffset(3 * time.Hour)
	if ahead() != 2*time.Hour {
		t.Errorf("with the system three hours ahead the agent is %s ahead", ahead())
	}
	select {
	case <-c.settled:
		t.Error("the offset is applied before anybody has read it")
	default:
	}
	c.settle()()
	<-c.settled
	if without := newClocks(wall, 0, false); without.agent != without.system || without.settled != nil || without.settle() != nil {
		t.Errorf("without a test clock and skew: %+v", without)
	}
}

// TestNodeGoesOnWithoutDNS has no descriptors left for its sockets.
func TestNodeGoesOnWithoutDNS(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the network of pods needs root")
	}
	c, dir := settings(t)
	c.Node.Enabled, c.Network.ServiceClusterIPRange = true, "10.127.0.0/16"
	var log bytes.Buffer
	p := process{log: slog.New(slog.NewTextHandler(&log, nil)), program: "/proc/self/exe", clocks: newClocks(clock.Real(), 0, false)}
	network, err := agent.Network(c.Node, c.Network, dir, p.clocks.wall, p.log)
	if err != nil {
		t.Fatal(err)
	}
	names, err := identity.NamesOf(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6443}, c.Node, c.Network, dir, p.log)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Open(dir, names, true, p.clocks.wall)
	if err != nil {
		t.Fatal(err)
	}
	group := &component.Group{Log: p.log}
	build := func() (*agent.DNS, error) {
		return buildDNS(t.Context(), c.Network, dir, p, names, id, network, manager.NewReadiness(false), group)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	resolver, why := build()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if resolver != nil || why == nil || !strings.Contains(why.Error(), "cluster DNS: ") {
		t.Errorf("without descriptors: %v, %v", resolver, why)
	}
	if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "pods cannot resolve names of the cluster") {
		t.Errorf("logged %q", got)
	}
	resolver, why = build()
	if resolver == nil || why != nil {
		t.Fatalf("with descriptors: %v, %v", resolver, why)
	}
	if err := resolver.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
