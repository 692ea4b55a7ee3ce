// Package cgroups names, makes, finds and removes the control groups of pods, under
// which the node's containers run.
//
// It owns the naming by driver and hierarchy version, and the limits of a whole pod.
// The groups of containers are made and limited by the container runtime.
package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
)

// Driver is who manages the groups: the names are those of the CRI configuration.
type Driver string

// The two drivers of the container runtimes.
const (
	Cgroupfs Driver = "cgroupfs"
	Systemd  Driver = "systemd"
)

// Hierarchy is how this machine arranges control groups.
type Hierarchy struct {
	// Unified says that all controllers are in version 2 ("unified" mode). Hybrid
	// mode, where version 2 is mounted without controllers, counts as version 1.
	Unified bool
	// Driver is what the container runtime is to use.
	Driver Driver

	root string
	// systemctl is the program that ends slices, busctl the one that makes them.
	systemctl, busctl string
}

const mountPoint = "/sys/fs/cgroup"

// Detect looks at the machine: cgroupfs on version 1, systemd on version 2 where
// systemd is process 1, else cgroupfs.
func Detect() (Hierarchy, error) {
	var fsInfo unix.Statfs_t
	if err := unix.Statfs(mountPoint, &fsInfo); err != nil {
		return Hierarchy{}, fmt.Errorf("looking at %s: %w (are control groups mounted?)", mountPoint, err)
	}
	h := Hierarchy{Unified: fsInfo.Type == unix.CGROUP2_SUPER_MAGIC, Driver: Cgroupfs, root: mountPoint}
	if h.Unified && systemdRuns() {
		h.Driver, h.systemctl, h.busctl = Systemd, "systemctl", "busctl"
	}
	return h, nil
}

// Has tells whether the machine has a controller, such as pids. What is not known counts as
// there.
func (h Hierarchy) Has(controller string) bool {
	if !h.Unified {
		_, err := os.Stat(filepath.Join(h.root, controller))
		return !errors.Is(err, fs.ErrNotExist)
	}
	raw, err := bounded.File(filepath.Join(h.root, "cgroup.controllers"), bounded.Small)
	return err != nil || slices.Contains(strings.Fields(string(raw)), controller)
}

// systemdRuns is the test of sd_booted(3).
func systemdRuns() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// Parent is the group of a whole node, as CRI's cgroup_parent writes it. name is
// that of the data directory (datadir.Dir.HostName).
func (h Hierarchy) Parent(name string) string {
	if h.Driver == Systemd {
		return sliceName(name) + ".slice"
	}
	return "/" + name
}

// Pod is the group of one pod, as CRI's cgroup_parent writes it.
func (h Hierarchy) Pod(name, podUID string) string {
	if h.Driver == Systemd {
		return sliceName(name) + "-pod" + sliceName(podUID) + ".slice"
	}
	return "/" + name + "/pod" + podUID
}

// sliceName keeps a name one level: systemd nests slices at every dash.
func sliceName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// relative is where the group of cgroup_parent is below a controller's root.
func (h Hierarchy) relative(parent string) string {
	if h.Driver != Systemd {
		return parent
	}
	path, parts := "", strings.Split(strings.TrimSuffix(parent, ".slice"), "-")
	for i := range parts {
		path = filepath.Join(path, strings.Join(parts[:i+1], "-")+".slice")
	}
	return path
}

// dirs returns the directories of a group that exist: one with version 2, one for
// each controller with version 1.
func (h Hierarchy) dirs(parent string) ([]string, error) {
	roots := []string{h.root}
	if !h.Unified {
		entries, err := os.ReadDir(h.root)
		if err != nil {
			return nil, fmt.Errorf("listing control group controllers: %w", err)
		}
		roots = roots[:0]
		for _, e := range entries {
			if e.IsDir() { // links are second names of joined controllers
				roots = append(roots, filepath.Join(h.root, e.Name()))
			}
		}
	}
	var dirs []string
	for _, root := range roots {
		dir := filepath.Join(root, h.relative(parent))
		if _, err := os.Lstat(dir); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// List returns every directory of the node's groups, parents before children.
func (h Hierarchy) List(name string) ([]string, error) {
	dirs, err := h.dirs(h.Parent(name))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("listing control groups: %w", err)
		}
	}
	return all, nil
}

// Processes returns the numbers of all processes in the node's groups, each once.
func (h Hierarchy) Processes(name string) ([]int, error) {
	dirs, err := h.List(name)
	if err != nil {
		return nil, err
	}
	var pids []int
	seen := map[int]bool{0: true} // 0 is a process outside our pid namespace
	for _, dir := range dirs {
		raw, err := bounded.File(filepath.Join(dir, "cgroup.procs"), bounded.Table)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOTSUP) {
			return nil, fmt.Errorf("listing processes of a control group: %w", err)
		}
		for _, field := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil && !seen[pid] {
				seen[pid] = true
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// RemovePod removes the group of one pod, which must be empty. It is no error when
// the group is gone already.
func (h Hierarchy) RemovePod(name, podUID string) error {
	return h.remove(h.Pod(name, podUID))
}

// Remove removes all groups of the node, which must be empty of processes.
func (h Hierarchy) Remove(name string) error {
	return h.remove(h.Parent(name))
}

func (h Hierarchy) remove(parent string) error {
	dirs, err := h.dirs(parent)
	if err != nil {
		return err
	}
	if h.Driver == Systemd && len(dirs) > 0 {
		// systemd keeps a slice that it made, also when its group is gone. Nobody
		// waits: what it does is to forget, and an error leaves an empty unit.
		_ = exec.Command(h.systemctl, "stop", "--no-block", parent).Run()
	}
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeTree(dir))
	}
	return errors.Join(errs...)
}

// removeTree removes a group and those below it; the files in them go by themselves.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing control group: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			errs = append(errs, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		errs = append(errs, fmt.Errorf("removing control group %s: %w", dir, err))
	}
	return errors.Join(errs...)
}
