package containerd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// TestAContainerThatLooksLikeTheDaemonIsNotTakenForIt has a process in a container's
// control group with the daemon's own arguments, as one with hostPID can read them.
func TestAContainerThatLooksLikeTheDaemonIsNotTakenForIt(t *testing.T) {
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	m.Run(t, "one", true, "sleep", "1000")
	daemon, err := procfs.Get(m.Info.PID)
	if err != nil {
		t.Fatal(err)
	}
	impostor := exec.Command("/bin/sh")
	impostor.Args = []string{"containerd", "-c", "read line", "--config", daemon.Arg("--config")}
	stdin, err := impostor.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := impostor.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = impostor.Wait()
	}()
	t.Cleanup(func() { stdin.Close(); <-ended })
	h, err := cgroups.Detect()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := h.List(dir.HostName())
	if err != nil || len(groups) == 0 {
		t.Fatalf("groups %v, %v", groups, err)
	}
	leaf := filepath.Join(groups[len(groups)-1], "cgroup.procs")
	if err := os.WriteFile(leaf, []byte(strconv.Itoa(impostor.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}

	info, err := containerd.New(runtimetest.Config(t, dir)).Start(t.Context())
	if err != nil || !info.Adopted || info.PID != m.Info.PID {
		t.Errorf("%+v, %v; want the daemon %d adopted", info, err, m.Info.PID)
	}
	if status, err := containerd.New(runtimetest.Config(t, dir)).Status(); err != nil || status.PID != m.Info.PID {
		t.Errorf("status %+v, %v", status, err)
	}
	select {
	case <-ended:
		t.Error("a process of a container was ended as if it were a daemon")
	default:
	}
}
