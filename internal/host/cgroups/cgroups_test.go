package cgroups

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const uid = "0d4b4c65-2f6b-4d9c-9d0e-000000000001"

func TestNames(t *testing.T) {
	fs, systemd := Hierarchy{Driver: Cgroupfs}, Hierarchy{Unified: true, Driver: Systemd}
	for _, test := range []struct {
		h                        Hierarchy
		parent, pod, below, pod2 string
	}{
		{fs, "/laterna-12345678", "/laterna-12345678/pod" + uid, "/laterna-12345678", "/laterna-12345678/pod" + uid},
		{
			systemd, "laterna_12345678.slice", "laterna_12345678-pod0d4b4c65_2f6b_4d9c_9d0e_000000000001.slice",
			"laterna_12345678.slice", "laterna_12345678.slice/laterna_12345678-pod0d4b4c65_2f6b_4d9c_9d0e_000000000001.slice",
		},
	} {
		parent, pod := test.h.Parent("laterna-12345678"), test.h.Pod("laterna-12345678", uid)
		if parent != test.parent || pod != test.pod {
			t.Errorf("%s: parent %s, pod %s; want %s, %s", test.h.Driver, parent, pod, test.parent, test.pod)
		}
		if got := test.h.relative(parent); got != test.below {
			t.Errorf("%s: parent is below %s, want %s", test.h.Driver, got, test.below)
		}
		if got := test.h.relative(pod); got != test.pod2 {
			t.Errorf("%s: pod is below %s, want %s", test.h.Driver, got, test.pod2)
		}
	}
}

// roots makes a tree of directories with a cgroup.procs file in each, as both versions
// of the hierarchy look.
func roots(t *testing.T, dirs map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for dir, procs := range dirs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), []byte(procs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestListAndProcesses(t *testing.T) {
	v1 := Hierarchy{Driver: Cgroupfs, root: roots(t, map[string]string{
		"cpu,cpuacct/laterna-x": "", "cpu,cpuacct/laterna-x/pod1/c": "10\n11\n", "memory/laterna-x/pod1/c": "11\n10\n",
		"memory/laterna-xy": "99\n", "unified/laterna-x": "0\n",
	})}
	if err := os.Symlink("cpu,cpuacct", filepath.Join(v1.root, "cpu")); err != nil {
		t.Fatal(err)
	}
	v2 := Hierarchy{Unified: true, Driver: Systemd, root: roots(t, map[string]string{
		"laterna_x.slice/laterna_x-pod1.slice/cri-containerd-c.scope": "10\n11\n", "system.slice": "99\n",
	})}
	for name, test := range map[string]struct {
		h    Hierarchy
		dirs int
	}{"version 1": {v1, 7}, "version 2": {v2, 3}} {
		dirs, err := test.h.List("laterna-x")
		if err != nil || len(dirs) != test.dirs {
			t.Errorf("%s: %d directories %v, %v; want %d", name, len(dirs), dirs, err, test.dirs)
		}
		pids, err := test.h.Processes("laterna-x")
		slices.Sort(pids)
		if err != nil || !slices.Equal(pids, []int{10, 11}) {
			t.Errorf("%s: processes %v, %v; want [10 11]", name, pids, err)
		}
		if dirs, err := test.h.List("laterna-none"); err != nil || len(dirs) > 0 {
			t.Errorf("%s: no such group: %v, %v", name, dirs, err)
		}
	}
}

func TestSystemdForgetsSlices(t *testing.T) {
	root := t.TempDir()
	log := filepath.Join(root, "log")
	systemctl := filepath.Join(root, "systemctl")
	if err := os.WriteFile(systemctl, []byte("#!/bin/sh\necho \"$@\" >>"+log+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	pod := filepath.Join(root, "laterna_x.slice", "laterna_x-podu.slice")
	if err := os.MkdirAll(pod, 0o700); err != nil {
		t.Fatal(err)
	}
	h := Hierarchy{Unified: true, Driver: Systemd, root: root, systemctl: systemctl}
	for _, remove := range []func() error{
		func() error { return h.RemovePod("laterna-x", "u") },
		func() error { return h.RemovePod("laterna-x", "u") }, // gone: systemd is not asked again
		func() error { return h.Remove("laterna-x") },
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(log)
	if want := "stop --no-block laterna_x-podu.slice\nstop --no-block laterna_x.slice\n"; string(raw) != want {
		t.Errorf("systemctl was called with %q, %v; want %q", raw, err, want)
	}
	if _, err := os.Stat(filepath.Join(root, "laterna_x.slice")); err == nil {
		t.Error("the group is still there")
	}
}

// The machine's own hierarchy: groups are made as the runtime makes them.
func TestRemoveOnThisMachine(t *testing.T) {
	h, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	if h.Driver == Systemd {
		h.Driver = Cgroupfs // systemd would remove empty slices of its own
	}
	const name = "laterna-cgrouptest"
	t.Cleanup(func() { h.Remove(name) })
	base := h.root
	if !h.Unified {
		base = filepath.Join(h.root, "memory")
	}
	group := filepath.Join(base, h.Pod(name, uid), "container")
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	if pids, err := h.Processes(name); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("processes %v, %v; want %d", pids, err, cmd.Process.Pid)
	}
	if err := h.RemovePod(name, uid); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("removing a group in use: %v, want busy", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := h.RemovePod(name, uid); err != nil {
		t.Fatal(err)
	}
	dirs, err := h.List(name)
	if err != nil || len(dirs) != 1 {
		t.Errorf("left %v, %v; want the node's group only", dirs, err)
	}
	for range 2 {
		if err := h.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if dirs, err = h.List(name); err != nil || len(dirs) > 0 {
		t.Errorf("left %v, %v", dirs, err)
	}
}
