package containerd_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// childDir makes TestChild a program that starts a daemon and waits to be killed.
const childDir = "LATERNA_TEST_DATA_DIR"

func TestChild(t *testing.T) {
	path := os.Getenv(childDir)
	if path == "" {
		return
	}
	dir, err := datadir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := containerd.New(runtimetest.Config(t, dir)).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pid=%d\n", info.PID)
	<-t.Context().Done()
}

func TestStartAdoptReplaceStop(t *testing.T) {
	dir := runtimetest.Dir(t)
	cfg := runtimetest.Config(t, dir)
	began := time.Now()
	first, err := containerd.New(cfg).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first start took %v", time.Since(began))
	if first.Adopted || first.PID == 0 || first.Version == "" {
		t.Errorf("first start: %+v", first)
	}
	began = time.Now()
	second, err := containerd.New(cfg).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("adoption took %v", time.Since(began))
	if !second.Adopted || second.PID != first.PID {
		t.Errorf("second start has process %d (adopted %v), want to adopt %d", second.PID, second.Adopted, first.PID)
	}
	other := cfg
	other.SandboxImage = "example.com/pause:other"
	third, err := containerd.New(other).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if third.Adopted || third.PID == first.PID {
		t.Errorf("start with another configuration kept process %d", first.PID)
	}
	if status, err := containerd.New(cfg).Status(); err != nil || status.PID != third.PID || time.Since(status.Started) > time.Minute {
		t.Errorf("status %+v, %v; want process %d", status, err, third.PID)
	}
	if err := containerd.New(cfg).Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if status, err := containerd.New(cfg).Status(); err != nil || status.Running {
		t.Errorf("after Stop: %+v, %v", status, err)
	}
	assertNothingLeft(t, dir)
}

func TestDaemonSurvivesTheKillOfItsParent(t *testing.T) {
	dir := runtimetest.Dir(t)
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childDir+"="+dir.Path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "pid=%d", &pid)
	}
	if err := syscall.Kill(child.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	if pid == 0 {
		t.Fatal("the child started no daemon")
	}
	info, err := containerd.New(runtimetest.Config(t, dir)).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !info.Adopted || info.PID != pid {
		t.Errorf("after the parent's death: %+v, want the adopted process %d", info, pid)
	}
}

func TestContainersOutliveTheDaemonAndEndWithStop(t *testing.T) {
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	sandbox, container := m.Run(t, "one", true, "sleep", "1000")

	cfg := runtimetest.Config(t, dir)
	cfg.CNIConfDir = filepath.Join(dir.Path, "elsewhere") // another digest
	info, err := containerd.New(cfg).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Adopted {
		t.Error("the daemon was not replaced; the test shows nothing")
	}
	got, err := m.CRI.ContainerStatus(t.Context(), container)
	if err != nil || got.State != cri.ContainerRunning {
		t.Errorf("container after the daemon was replaced: state %v, %v; want running", got.State, err)
	}
	if s, err := m.CRI.SandboxStatus(t.Context(), sandbox); err != nil || s.State != cri.SandboxReady {
		t.Errorf("sandbox after the daemon was replaced: state %v, %v; want ready", s.State, err)
	}
	if err := containerd.New(cfg).Stop(t.Context(), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	assertNothingLeft(t, dir)

	again := runtimetest.Start(t, dir)
	if list, err := again.CRI.ListSandboxes(t.Context(), cri.Filter{}); err != nil || len(list) > 0 {
		t.Errorf("sandboxes after Stop and Start: %v, %v; want none", list, err)
	}
	if list, err := again.CRI.ListContainers(t.Context(), cri.Filter{}); err != nil || len(list) > 0 {
		t.Errorf("containers after Stop and Start: %v, %v; want none", list, err)
	}
}

func TestStopWorksWhenDaemonAndShimAreDead(t *testing.T) {
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	m.Run(t, "one", true, "sleep", "1000")
	sockets := shimSockets(t, dir)
	ours, err := procfs.Find(func(p procfs.Process) bool {
		return strings.Contains(strings.Join(p.Args, " "), dir.RunDir)
	})
	if err != nil || len(ours) < 2 {
		t.Fatalf("processes that name %s: %v, %v; want daemon and shim", dir.RunDir, ours, err)
	}
	if err := procfs.End(t.Context(), ours, 0); err != nil {
		t.Fatal(err)
	}
	if len(sockets) == 0 {
		t.Error("no socket of a shim is known; the test of its removal shows nothing")
	}
	if err := m.Daemon.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	assertNothingLeft(t, dir)
	for _, socket := range sockets {
		if _, err := os.Lstat(socket); err == nil {
			t.Errorf("socket of a shim left: %s", socket)
		}
	}
}

func TestSuperviseStartsADeadDaemonAgain(t *testing.T) {
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	_, container := m.Run(t, "one", true, "sleep", "1000")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Daemon.Supervise(ctx)
	}()
	if err := syscall.Kill(m.Info.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		status, err := m.Daemon.Status()
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.CRI.ContainerStatus(t.Context(), container)
		if status.Running && status.PID != m.Info.PID && err == nil && got.State == cri.ContainerRunning {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("20 s after the kill: daemon %+v, container %v, %v", status, got.State, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	<-done
}

func TestTwoDaemonsSideBySide(t *testing.T) {
	a, b := runtimetest.Start(t, runtimetest.Dir(t)), runtimetest.Start(t, runtimetest.Dir(t))
	a.Run(t, "one", true, "sleep", "1000")
	_, container := b.Run(t, "one", true, "sleep", "1000")
	if err := a.Daemon.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	assertNothingLeft(t, a.Dir)
	got, err := b.CRI.ContainerStatus(t.Context(), container)
	if err != nil || got.State != cri.ContainerRunning {
		t.Errorf("the other system's container: state %v, %v; want running", got.State, err)
	}
}

// assertNothingLeft fails the test for every process, mount, control group and shim
// socket of the data directory.
func assertNothingLeft(t *testing.T, dir datadir.Dir) {
	t.Helper()
	ours, err := procfs.Find(func(p procfs.Process) bool {
		return strings.Contains(strings.Join(p.Args, " "), dir.RunDir)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ours {
		t.Errorf("process left: %d %v", p.PID, p.Args)
	}
	for _, base := range []string{dir.RunDir, dir.Path} {
		left, err := mounts.Under(base)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range left {
			t.Errorf("mount left: %+v", m)
		}
	}
	h, err := cgroups.Detect()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := h.List(dir.HostName())
	if err != nil || len(groups) > 0 {
		t.Errorf("control groups left: %v, %v", groups, err)
	}
	files, err := os.ReadDir(dir.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Errorf("left in the run directory: %s", f.Name())
	}
}

// shimSockets returns the sockets that the bundles of running shims name, in whichever
// file: it differs by containerd's version.
func shimSockets(t *testing.T, dir datadir.Dir) []string {
	t.Helper()
	var sockets []string
	for _, name := range []string{"address", "bootstrap.json"} {
		files, err := filepath.Glob(filepath.Join(dir.RunDir, "containerd", "io.containerd.runtime.v2.task", "k8s.io", "*", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sockets = append(sockets, regexp.MustCompile("/run/containerd/s/[0-9a-f]{64}").FindAllString(string(raw), -1)...)
		}
	}
	return sockets
}
