package cgroups

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLimitsOfAPodChange(t *testing.T) {
	const one = "laterna-x/podu/"
	v1, v2 := t.TempDir(), t.TempDir()
	kernel(t, v1, "cpu/"+one+"cpu.shares", "cpu/"+one+"cpu.cfs_period_us", "cpu/"+one+"cpu.cfs_quota_us",
		"memory/"+one+"memory.limit_in_bytes", "pids/"+one+"pids.max")
	kernel(t, v2, one+"cpu.weight", one+"cpu.max", one+"memory.max", one+"pids.max")
	for name, c := range map[string]struct {
		h    Hierarchy
		want map[string]string
	}{
		"version 1": {Hierarchy{Driver: Cgroupfs, root: v1}, map[string]string{
			"cpu/" + one + "cpu.shares": "358", "cpu/" + one + "cpu.cfs_quota_us": "", "memory/" + one + "memory.limit_in_bytes": "52428800", "pids/" + one + "pids.max": "",
		}},
		"version 2": {Hierarchy{Unified: true, Driver: Cgroupfs, root: v2}, map[string]string{
			one + "cpu.weight": "14", one + "cpu.max": "", one + "memory.max": "52428800", one + "pids.max": "",
		}},
	} {
		if err := c.h.ChangePod("laterna-x", "u", Limits{CPUShares: 358, MemoryBytes: 52_428_800}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		contents(t, c.h.root, c.want)
		if err := c.h.ChangePod("laterna-x", "none", limits); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: no such pod: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(c.h.root, "laterna-x", "podnone")); err == nil {
			t.Errorf("%s: the group of a pod that is not there was made", name)
		}
	}
}

func TestLimitsOfASliceChange(t *testing.T) {
	root := t.TempDir()
	log, busctl := filepath.Join(root, "log"), filepath.Join(root, "busctl")
	if err := os.WriteFile(busctl, []byte("#!/bin/sh\necho \"$@\" >>"+log+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "laterna_x.slice", "laterna_x-podu.slice"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := Hierarchy{Unified: true, Driver: Systemd, root: root, busctl: busctl}
	for _, l := range []Limits{{}, {CPUPeriod: 100_000, CPUQuota: 150_000, MemoryBytes: 52_428_800}} {
		if err := h.ChangePod("laterna-x", "u", l); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(log)
	want := "call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager SetUnitProperties sba(sv) " +
		"laterna_x-podu.slice true 2 CPUQuotaPerSecUSec t 1500000 MemoryMax t 52428800\n"
	if string(raw) != want {
		t.Errorf("busctl was called with %q, %v; want %q", raw, err, want)
	}
}

func TestMemoryUsedOfPodsAndContainers(t *testing.T) {
	v1 := Hierarchy{root: t.TempDir()}
	v2 := Hierarchy{Unified: true, Driver: Systemd, root: t.TempDir()}
	for h, files := range map[*Hierarchy]map[string]string{
		&v1: {"memory/laterna-x/podu/memory.usage_in_bytes": "300\n", "memory/laterna-x/podu/c1/memory.usage_in_bytes": "100\n",
			"memory/laterna-x/podu/c11/memory.usage_in_bytes": "200\n"},
		&v2: {"laterna_x.slice/laterna_x-podu.slice/memory.current": "300\n", "laterna_x.slice/laterna_x-podu.slice/cri-containerd-c1.scope/memory.current": "100\n",
			"laterna_x.slice/laterna_x-podu.slice/cri-containerd-c11.scope/memory.current": "200\n"},
	} {
		for name, content := range files {
			kernel(t, h.root, name)
			if err := os.WriteFile(filepath.Join(h.root, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for container, want := range map[string]int64{"": 300, "c1": 100, "c11": 200} {
			if got, err := h.MemoryUsed("laterna-x", "u", container); err != nil || got != want {
				t.Errorf("unified %v, container %q: %d, %v; want %d", h.Unified, container, got, err, want)
			}
		}
		if _, err := h.MemoryUsed("laterna-x", "u", "c2"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "c2") {
			t.Errorf("unified %v, a container that is not there: %v", h.Unified, err)
		}
	}
}
