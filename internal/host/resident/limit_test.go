package resident

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

// machine is a file system with control groups.
func machine(groups, mounts string, limits map[string]string) fstest.MapFS {
	m := fstest.MapFS{"proc/self/cgroup": {Data: []byte(groups)}, "proc/self/mountinfo": {Data: []byte(mounts)}}
	for name, value := range limits {
		m[name] = &fstest.MapFile{Data: []byte(value + "\n")}
	}
	return m
}

const (
	v1Mount = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	v2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
)

func TestLimitIsTheLeastOfAllGroupsAround(t *testing.T) {
	const none = "9223372036854771712"
	for name, c := range map[string]struct {
		fs   fstest.MapFS
		want int64
	}{
		"v1": {machine("4:memory:/a/b\n1:cpu:/c\n0::/\n", v1Mount, map[string]string{
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": none, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "300", "sys/fs/cgroup/memory/memory.limit_in_bytes": none,
			"sys/fs/cgroup/memory/c/memory.limit_in_bytes": "7"}), 300},
		"v1 with controllers together": {machine("4:cpu,memory:/a\n", "35 31 0:32 / /g rw - cgroup cgroup rw,cpu,memory\n", map[string]string{"g/a/memory.limit_in_bytes": "5"}), 5},
		"v2": {machine("0::/user.slice/x.scope\n", v2Mount, map[string]string{
			"sys/fs/cgroup/user.slice/x.scope/memory.max": "max", "sys/fs/cgroup/user.slice/memory.max": "4096"}), 4096},
		"v2, own is less":        {machine("0::/a\n", v2Mount, map[string]string{"sys/fs/cgroup/a/memory.max": "100", "sys/fs/cgroup/memory.max": "4096"}), 100},
		"both":                   {machine("4:memory:/a\n0::/b\n", v1Mount+"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", map[string]string{"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9"}), 9},
		"a container's own view": {machine("0::/docker/abc\n", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", map[string]string{"sys/fs/cgroup/memory.max": "77"}), 77},
		"outside of the mount":   {machine("0::/../other\n", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", map[string]string{"sys/fs/cgroup/memory.max": "78"}), 78},
		"another group's prefix": {machine("0::/docker/abcd\n", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", map[string]string{"sys/fs/cgroup/memory.max": "79", "sys/fs/cgroup/d/memory.max": "1"}), 79},
		"none":                   {machine("4:memory:/a\n", v1Mount, map[string]string{"sys/fs/cgroup/memory/a/memory.limit_in_bytes": none}), 0},
		"max":                    {machine("0::/a\n", v2Mount, map[string]string{"sys/fs/cgroup/a/memory.max": "max"}), 0},
		"nonsense":               {machine("\x00::\n4:memory\n", "- cgroup2\n"+v2Mount, map[string]string{"sys/fs/cgroup/memory.max": "99999999999999999999999"}), 0},
		"nothing":                {fstest.MapFS{}, 0},
	} {
		if got := GroupLimit(c.fs); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestHeapStaysWithinTheGroupUnlessToldOtherwise(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	fs := machine("0::/\n", v2Mount, map[string]string{"sys/fs/cgroup/memory.max": "1073741824"})
	if got := LimitHeap(fs, "2GiB"); got != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("GOMEMLIMIT does not win: %d", got)
	}
	if got := LimitHeap(fs, ""); got < 800e6 || got > 810e6 || debug.SetMemoryLimit(-1) != got {
		t.Errorf("of 1 GiB %d", got)
	}
	small := machine("0::/\n", v2Mount, map[string]string{"sys/fs/cgroup/memory.max": "1048576"})
	if got := LimitHeap(small, ""); got != leastHeap {
		t.Errorf("of 1 MiB %d", got)
	}
}
