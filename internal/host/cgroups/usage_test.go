package cgroups

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// written is a tree of files.
func written(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestUsageOfAPodIsReadInEveryHierarchy(t *testing.T) {
	for name, tt := range map[string]struct {
		h     Hierarchy
		files map[string]string
	}{
		"version 1": {Hierarchy{Driver: Cgroupfs}, map[string]string{
			"memory/laterna-a/podu-1/memory.usage_in_bytes":     "5000\n",
			"memory/laterna-a/podu-1/memory.stat":               "inactive_file 7\ntotal_inactive_file 1000\n",
			"memory/laterna-a/podu-1/abc/memory.usage_in_bytes": "3000\n",
			"pids/laterna-a/podu-1/pids.current":                "9\n",
			"pids/laterna-a/podu-1/abc/pids.current":            "8\n",
		}},
		"version 2": {Hierarchy{Unified: true, Driver: Cgroupfs}, map[string]string{
			"laterna-a/podu-1/memory.current":     "5000\n",
			"laterna-a/podu-1/memory.stat":        "anon 1\ninactive_file 1000\n",
			"laterna-a/podu-1/pids.current":       "9\n",
			"laterna-a/podu-1/abc/memory.current": "3000\n",
			"laterna-a/podu-1/abc/pids.current":   "8\n",
		}},
		"systemd": {Hierarchy{Unified: true, Driver: Systemd}, map[string]string{
			"laterna_a.slice/laterna_a-podu_1.slice/memory.current":                          "5000\n",
			"laterna_a.slice/laterna_a-podu_1.slice/memory.stat":                             "inactive_file 1000\n",
			"laterna_a.slice/laterna_a-podu_1.slice/pids.current":                            "9\n",
			"laterna_a.slice/laterna_a-podu_1.slice/cri-containerd-abc.scope/memory.current": "3000\n",
			"laterna_a.slice/laterna_a-podu_1.slice/cri-containerd-abc.scope/pids.current":   "8\n",
		}},
	} {
		tt.h.root = written(t, tt.files)
		pod, containers, err := tt.h.PodUsage("laterna-a", "u-1")
		if err != nil || pod != (Usage{4000, 9}) || !maps.Equal(containers, map[string]Usage{"abc": {3000, 8}}) {
			t.Errorf("%s: %+v, %+v, %v", name, pod, containers, err)
		}
		pod, containers, err = tt.h.PodUsage("laterna-a", "gone")
		if err != nil || pod != (Usage{}) || len(containers) > 0 {
			t.Errorf("%s, of a pod that is gone: %+v, %+v, %v", name, pod, containers, err)
		}
	}
}

func TestControllersThatTheMachineHas(t *testing.T) {
	first := Hierarchy{root: written(t, map[string]string{"memory/tasks": "", "cpu/tasks": ""})}
	second := Hierarchy{Unified: true, root: written(t, map[string]string{"cgroup.controllers": "cpuset cpu memory\n"})}
	for _, h := range []Hierarchy{first, second} {
		if !h.Has("memory") || h.Has("pids") {
			t.Errorf("version 2 %v: memory %v, pids %v", h.Unified, h.Has("memory"), h.Has("pids"))
		}
	}
}
