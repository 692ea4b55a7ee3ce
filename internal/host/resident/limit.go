package resident

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

const (
	// share is how much of the control group's memory the heap may take, in percent.
	// The rest is for the store's file, which is mapped, and for what else runs in
	// the group.
	share = 75
	// leastHeap is below what a limit makes no sense: the collector would run all the
	// time and the kernel has to decide.
	leastHeap = 64 << 20
)

// LimitHeap makes the collector keep the heap within the memory of the process's
// control group, as GOMEMLIMIT does, which wins if it is set: gomemlimit is its
// value. root is the root of the file system. It returns the limit in bytes, 0
// where none was set. It is to be called once, before much is allocated.
func LimitHeap(root fs.FS, gomemlimit string) int64 {
	if gomemlimit != "" {
		return 0
	}
	group := GroupLimit(root)
	if group == 0 {
		return 0
	}
	heap := max(group/100*share, leastHeap)
	debug.SetMemoryLimit(heap)
	return heap
}

// GroupLimit returns how many bytes of memory the process's control group may use:
// the least limit of the group and those that hold it, cgroups(7), of version 1 or 2.
// It is 0 where there is no limit or none can be read.
func GroupLimit(root fs.FS) int64 {
	groups, err := bounded.In(root, "proc/self/cgroup", bounded.Small)
	if err != nil {
		return 0
	}
	mounts, err := bounded.In(root, "proc/self/mountinfo", bounded.Table)
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for _, h := range hierarchies(mounts) {
		for dir := h.inside(groups); ; dir = path.Dir(dir) {
			if limit, ok := readLimit(root, path.Join(h.mount, dir, h.file)); ok {
				least = min(least, limit)
			}
			if dir == "/" {
				break
			}
		}
	}
	if least >= unlimited {
		return 0
	}
	return least
}

// unlimited is less than what version 1 shows for no limit: the largest multiple of
// a page.
const unlimited = 1 << 60

// hierarchy is a mounted tree of control groups with memory limits.
type hierarchy struct {
	mount, root string // where it is mounted, and which of its groups is
	file        string // name of the file with a limit
	v1          bool
}

// hierarchies reads /proc/self/mountinfo, proc_pid_mountinfo(5).
func hierarchies(mounts []byte) (out []hierarchy) {
	for lines := bufio.NewScanner(bytes.NewReader(mounts)); lines.Scan(); {
		// id parent major:minor root mount options [optional…] - type source superoptions
		front, back, ok := strings.Cut(lines.Text(), " - ")
		at, kind := strings.Fields(front), strings.Fields(back)
		if !ok || len(at) < 5 || len(kind) < 3 {
			continue
		}
		h := hierarchy{mount: strings.TrimPrefix(at[4], "/"), root: at[3], file: "memory.max"}
		if kind[0] == "cgroup" && hasField(kind[2], "memory") {
			h.v1, h.file = true, "memory.limit_in_bytes"
		} else if kind[0] != "cgroup2" {
			continue
		}
		out = append(out, h)
	}
	return out
}

// inside returns the process's group in the mounted tree, from /proc/self/cgroup. A
// group outside of what is mounted counts as the top of it.
func (h hierarchy) inside(groups []byte) string {
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		// id:controllers:path
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 || h.v1 != hasField(fields[1], "memory") || !h.v1 && fields[0] != "0" {
			continue
		}
		group, ok := strings.CutPrefix(path.Clean("/"+fields[2]), strings.TrimSuffix(h.root, "/"))
		if ok && (group == "" || group[0] == '/') {
			return path.Join("/", group)
		}
	}
	return "/"
}

func hasField(list, name string) bool {
	for f := range strings.SplitSeq(list, ",") {
		if f == name {
			return true
		}
	}
	return false
}

// readLimit reads a file with a limit; false for no limit.
func readLimit(root fs.FS, name string) (int64, bool) {
	raw, err := bounded.In(root, name, bounded.Small)
	if err != nil {
		return 0, false
	}
	text := strings.TrimSpace(string(raw))
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return n, err == nil && n > 0
}
