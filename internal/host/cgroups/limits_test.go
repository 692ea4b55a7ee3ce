package cgroups

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var limits = Limits{CPUShares: 358, CPUPeriod: 100_000, CPUQuota: 150_000, MemoryBytes: 52_428_800, Pids: 4096}

// kernel makes the files that the kernel puts into a group.
func kernel(t *testing.T, root string, files ...string) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func contents(t *testing.T, root string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != value {
			t.Errorf("%s: %q, %v; want %q", name, got, err, value)
		}
	}
}

func TestLimitsOfVersion1(t *testing.T) {
	root := t.TempDir()
	kernel(t, root, "cpu/laterna-x/podu/cpu.shares", "cpu/laterna-x/podu/cpu.cfs_period_us", "cpu/laterna-x/podu/cpu.cfs_quota_us",
		"memory/laterna-x/podu/memory.limit_in_bytes", "pids/laterna-x/podu/pids.max")
	h := Hierarchy{Driver: Cgroupfs, root: root}
	for range 2 {
		if err := h.MakePod("laterna-x", "u", limits); err != nil {
			t.Fatal(err)
		}
	}
	contents(t, root, map[string]string{
		"cpu/laterna-x/podu/cpu.shares": "358", "cpu/laterna-x/podu/cpu.cfs_period_us": "100000",
		"cpu/laterna-x/podu/cpu.cfs_quota_us": "150000", "memory/laterna-x/podu/memory.limit_in_bytes": "52428800",
		"pids/laterna-x/podu/pids.max": "4096",
	})
	if err := (Hierarchy{Driver: Cgroupfs, root: t.TempDir()}).MakePod("laterna-x", "u", limits); err != nil {
		t.Errorf("a machine without the controllers: %v", err)
	}
}

func TestLimitsOfVersion2(t *testing.T) {
	root := t.TempDir()
	pod := "laterna-x/podu/"
	kernel(t, root, "cgroup.subtree_control", "laterna-x/cgroup.subtree_control", pod+"cgroup.subtree_control",
		pod+"cpu.weight", pod+"cpu.max", pod+"memory.max", pod+"pids.max")
	h := Hierarchy{Unified: true, Driver: Cgroupfs, root: root}
	if err := h.MakePod("laterna-x", "u", limits); err != nil {
		t.Fatal(err)
	}
	contents(t, root, map[string]string{
		// The kernel adds up what is written; these files keep the last of it.
		"cgroup.subtree_control": "+pids", "laterna-x/cgroup.subtree_control": "+pids", pod + "cgroup.subtree_control": "+cpu +memory",
		pod + "cpu.weight": "14", pod + "cpu.max": "150000 100000", pod + "memory.max": "52428800", pod + "pids.max": "4096",
	})
}

// TestPodWithoutAPidsControllerKeepsItsOtherLimits on version 2, and without a limit of
// processes nothing is asked of the controller.
func TestPodWithoutAPidsControllerKeepsItsOtherLimits(t *testing.T) {
	root := t.TempDir()
	pod := "laterna-x/podu/"
	kernel(t, root, "cgroup.subtree_control", "laterna-x/cgroup.subtree_control", pod+"cgroup.subtree_control",
		pod+"cpu.weight", pod+"cpu.max", pod+"memory.max")
	h := Hierarchy{Unified: true, Driver: Cgroupfs, root: root}
	if err := h.MakePod("laterna-x", "u", limits); err == nil || !strings.Contains(err.Error(), "pids.max") {
		t.Errorf("error %v", err)
	}
	contents(t, root, map[string]string{pod + "cpu.weight": "14", pod + "memory.max": "52428800"})
	none := limits
	none.Pids = 0
	if err := h.MakePod("laterna-x", "u", none); err != nil {
		t.Errorf("no limit: %v", err)
	}
}

func TestLimitsOfSlices(t *testing.T) {
	root := t.TempDir()
	log, busctl := filepath.Join(root, "log"), filepath.Join(root, "busctl")
	if err := os.WriteFile(busctl, []byte("#!/bin/sh\necho \"$@\" >>"+log+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := Hierarchy{Unified: true, Driver: Systemd, root: root, busctl: busctl}
	if err := h.MakePod("laterna-x", "u", limits); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "laterna_x.slice", "laterna_x-podu.slice"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.MakePod("laterna-x", "u", limits); err != nil { // it is there: systemd is not asked again
		t.Fatal(err)
	}
	raw, err := os.ReadFile(log)
	want := "call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit ssa(sv)a(sa(sv)) " +
		"laterna_x-podu.slice replace 5 DefaultDependencies b false CPUWeight t 14 CPUQuotaPerSecUSec t 1500000 MemoryMax t 52428800 TasksMax t 4096 0\n"
	if string(raw) != want {
		t.Errorf("busctl was called with %q, %v; want %q", raw, err, want)
	}
	h.busctl = filepath.Join(root, "none")
	if err := h.MakePod("laterna-x", "v", limits); err == nil || !strings.Contains(err.Error(), "laterna_x-podv.slice") {
		t.Errorf("systemd does not answer: %v", err)
	}
}

// The machine's own hierarchy takes what is written.
func TestLimitsOnThisMachine(t *testing.T) {
	h, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	h.Driver = Cgroupfs
	const name = "laterna-limitstest"
	t.Cleanup(func() {
		if err := h.Remove(name); err != nil {
			t.Error(err)
		}
	})
	if err := h.MakePod(name, uid, limits); err != nil {
		t.Fatal(err)
	}
	dirs, err := h.dirs(h.Pod(name, uid))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("groups %v, %v", dirs, err)
	}
	for _, dir := range dirs {
		for file, want := range map[string]string{"cpu.shares": "358", "cpu.weight": "14", "memory.limit_in_bytes": "52428800", "memory.max": "52428800", "pids.max": "4096"} {
			if got, err := os.ReadFile(filepath.Join(dir, file)); err == nil && strings.TrimSpace(string(got)) != want {
				t.Errorf("%s is %s, want %s", file, got, want)
			}
		}
	}
}

func TestWeight(t *testing.T) {
	for shares, want := range map[int64]int64{0: 0, 2: 1, 1024: 39, 262144: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("%d shares: weight %d, want %d", shares, got, want)
		}
	}
}
