package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Limits are what all processes of a group may use together. Zero values set nothing.
type Limits struct {
	// CPUShares is version 1's weight, from 2 to 262144.
	CPUShares int64
	// CPUPeriod and CPUQuota are in microseconds.
	CPUPeriod, CPUQuota int64
	MemoryBytes         int64
	// Pids is how many processes and threads there may be at one time.
	Pids int64
}

// MakePod makes the group of one pod with its limits, before the runtime makes those
// of the containers in it. It may be called again. An error leaves a group that works
// and lacks a limit.
func (h Hierarchy) MakePod(name, podUID string, l Limits) error {
	parent := h.Pod(name, podUID)
	if h.Driver == Systemd {
		return h.makeSlice(parent, l)
	}
	if h.Unified {
		dir, err := h.makeUnified(parent)
		if err != nil {
			return err
		}
		return errors.Join(write(dir, l.unified()), h.limitPids(parent, dir, l))
	}
	return errors.Join(
		h.makeController("cpu", parent, l.cpu()),
		h.makeController("memory", parent, l.memory()),
		h.makeController("pids", parent, l.pids()),
	)
}

// makeController makes a group of version 1; a controller that this machine does not
// have limits nothing.
func (h Hierarchy) makeController(controller, parent string, files []file) error {
	root := filepath.Join(h.root, controller)
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dir := filepath.Join(root, h.relative(parent))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making control group: %w", err)
	}
	return write(dir, files)
}

// makeUnified makes a group of version 2 and hands it the two controllers, from the
// root on.
func (h Hierarchy) makeUnified(parent string) (string, error) {
	dir := h.root
	for _, part := range strings.Split(strings.Trim(parent, "/"), "/") {
		if err := write(dir, []file{{"cgroup.subtree_control", "+cpu +memory"}}); err != nil {
			return "", err
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("making control group: %w", err)
		}
	}
	return dir, write(dir, []file{{"cgroup.subtree_control", "+cpu +memory"}})
}

// limitPids is apart from the other limits of version 2, so that a machine that does not
// hand out the controller, as in a container, lacks this limit alone.
func (h Hierarchy) limitPids(parent, dir string, l Limits) error {
	if l.Pids <= 0 {
		return nil
	}
	at := h.root
	for _, part := range strings.Split(strings.Trim(parent, "/"), "/") {
		if err := write(at, []file{{"cgroup.subtree_control", "+pids"}}); err != nil {
			return err
		}
		at = filepath.Join(at, part)
	}
	return write(dir, l.pids())
}

// makeSlice asks systemd for a slice with the limits: it would undo what others write
// to the files of its groups.
func (h Hierarchy) makeSlice(slice string, l Limits) error {
	if dirs, err := h.dirs(slice); err != nil || len(dirs) > 0 {
		return err
	}
	properties := append([]string{"DefaultDependencies", "b", "false"}, l.properties()...)
	args := []string{"StartTransientUnit", "ssa(sv)a(sa(sv))", slice, "replace", strconv.Itoa(len(properties) / 3)}
	return h.askSystemd(slice, append(append(args, properties...), "0"))
}

// properties are the limits as systemd takes them, three words each.
func (l Limits) properties() (out []string) {
	set := func(name string, value int64) {
		if value > 0 {
			out = append(out, name, "t", strconv.FormatInt(value, 10))
		}
	}
	set("CPUWeight", weight(l.CPUShares))
	if l.CPUPeriod > 0 {
		set("CPUQuotaPerSecUSec", l.CPUQuota*1_000_000/l.CPUPeriod)
	}
	set("MemoryMax", l.MemoryBytes)
	set("TasksMax", l.Pids)
	return out
}

// askSystemd calls a method of systemd's manager; call is its name, signature and
// arguments.
func (h Hierarchy) askSystemd(slice string, call []string) error {
	args := append([]string{"call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"}, call...)
	if out, err := exec.Command(h.busctl, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("asking systemd for %s: %w: %s", slice, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// weight is version 2's for version 1's shares, as the runtimes convert them.
func weight(shares int64) int64 {
	if shares == 0 {
		return 0
	}
	return 1 + (shares-2)*9999/262142
}

// file is one setting of a group.
type file struct{ name, value string }

func write(dir string, files []file) error {
	for _, f := range files {
		// The kernel's files are there with their group and are never made.
		h, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_TRUNC, 0)
		if err == nil {
			_, err = h.WriteString(f.value)
			err = errors.Join(err, h.Close())
		}
		if err != nil {
			return fmt.Errorf("limiting control group: %w", err)
		}
	}
	return nil
}

func (l Limits) cpu() (out []file) {
	if l.CPUShares > 0 {
		out = append(out, file{"cpu.shares", strconv.FormatInt(l.CPUShares, 10)})
	}
	if l.CPUPeriod > 0 && l.CPUQuota > 0 {
		out = append(out, file{"cpu.cfs_period_us", strconv.FormatInt(l.CPUPeriod, 10)},
			file{"cpu.cfs_quota_us", strconv.FormatInt(l.CPUQuota, 10)})
	}
	return out
}

func (l Limits) memory() []file {
	if l.MemoryBytes == 0 {
		return nil
	}
	return []file{{"memory.limit_in_bytes", strconv.FormatInt(l.MemoryBytes, 10)}}
}

func (l Limits) pids() []file {
	if l.Pids <= 0 {
		return nil
	}
	return []file{{"pids.max", strconv.FormatInt(l.Pids, 10)}}
}

func (l Limits) unified() (out []file) {
	if w := weight(l.CPUShares); w > 0 {
		out = append(out, file{"cpu.weight", strconv.FormatInt(w, 10)})
	}
	if l.CPUPeriod > 0 && l.CPUQuota > 0 {
		out = append(out, file{"cpu.max", fmt.Sprintf("%d %d", l.CPUQuota, l.CPUPeriod)})
	}
	if l.MemoryBytes > 0 {
		out = append(out, file{"memory.max", strconv.FormatInt(l.MemoryBytes, 10)})
	}
	return out
}
