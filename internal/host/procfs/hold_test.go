package procfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHeldProcess(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h, err := Hold(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if !h.Alive() || h.PID() != cmd.Process.Pid {
		t.Errorf("alive %v, number %d", h.Alive(), h.PID())
	}
	if in, err := h.InGroup("no-such-group"); in || err != nil {
		t.Errorf("in a group that is not there: %v, %v", in, err)
	}
	if err := h.Signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if h.Alive() {
		t.Error("an ended process lives")
	}
	if err := h.Signal(unix.SIGTERM); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("signalling an ended process: %v", err)
	}
	if _, err := h.InGroup("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("group of an ended process: %v", err)
	}
	if _, err := Hold(1 << 22); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody: %v", err)
	}
}

func TestInGroup(t *testing.T) {
	const v1 = "12:pids:/laterna-1/poduid/0123abcd\n1:name=systemd:/laterna-1/poduid/0123abcd\n"
	for _, tc := range []struct {
		raw, id string
		want    bool
	}{
		{v1, "0123abcd", true},
		{"0::/kubepods.slice/cri-containerd-0123abcd.scope\n", "0123abcd", true},
		{"0::/crio-0123abcd.scope/container\n", "0123abcd", true},
		{v1, "0123", false}, {v1, "23abcd", false}, {v1, "", false}, {"", "x", false}, {"0::/\n", "x", false}, {"0123abcd\n", "0123abcd", false},
	} {
		if got := inGroup([]byte(tc.raw), tc.id); got != tc.want {
			t.Errorf("%q in %q: %v", tc.id, tc.raw, got)
		}
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || inGroup(own, strings.Repeat("f", 64)) {
		t.Errorf("%v: in %s", err, own)
	}
}

func FuzzInGroup(f *testing.F) {
	f.Add([]byte("12:pids:/a/b\n0::/x-id.scope\n"), "id")
	f.Fuzz(func(t *testing.T, raw []byte, id string) {
		if inGroup(raw, id) && !strings.Contains(string(raw), id) {
			t.Errorf("%q is not in %q", id, raw)
		}
	})
}
