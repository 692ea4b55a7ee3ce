// Package hostresources lists and removes everything that a data directory has on the
// machine outside its own files: processes, mounts, links, rules, control groups and
// network state.
//
// It owns the whole picture, for `laterna down` and for tests that compare before and
// after. How each kind is made and removed lives with its owner in node and network.
package hostresources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
	"laterna.dev/laterna/internal/runtime/containerd"
)

// Kind is what a resource is.
type Kind string

// The kinds of resources.
const (
	Process Kind = "process"
	Mount   Kind = "mount"
	Link    Kind = "link"
	Table   Kind = "nftables table"
	Cgroup  Kind = "control group"
	Socket  Kind = "socket"
)

// Resource is one thing on the machine.
type Resource struct {
	Kind Kind
	// Name tells resources of a kind apart: a path, a name, or number and command of
	// a process.
	Name string
}

// String implements fmt.Stringer.
func (r Resource) String() string { return string(r.Kind) + " " + r.Name }

// List returns what the data directory has on the machine now, sorted. A running
// laterna itself is not among it.
func List(ctx context.Context, dir datadir.Dir) ([]Resource, error) {
	lists := []func(context.Context, datadir.Dir) ([]Resource, error){
		processes, mountPoints, links, tables, groups, sockets,
	}
	if !privileged() {
		lists = lists[len(lists)-1:]
	}
	var all []Resource
	for _, list := range lists {
		found, err := list(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("listing host resources: %w", err)
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Resource) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// Processes counts the processes that run containers of the directory; what cannot be read
// counts as nothing: another user may not look, and has not started them either.
func Processes(ctx context.Context, dir datadir.Dir) int {
	if !privileged() {
		return 0
	}
	found, _ := processes(ctx, dir)
	return len(found)
}

// privileged tells whether this user could have run pods: another one's systems have
// sockets and nothing else, and may not ask the kernel for the rest.
func privileged() bool { return os.Geteuid() == 0 }

// processes are the daemon and shims, which name the run directory, and whatever runs
// in the control groups or below a shim.
func processes(_ context.Context, dir datadir.Dir) ([]Resource, error) {
	all, err := procfs.List()
	if err != nil {
		return nil, err
	}
	h, err := cgroups.Detect()
	if err != nil {
		return nil, err
	}
	inGroup, err := h.Processes(dir.HostName())
	if err != nil {
		return nil, err
	}
	var ours []procfs.Process
	for _, p := range all {
		if ofRunDir(p, dir) || slices.Contains(inGroup, p.PID) {
			ours = append(ours, p)
		}
	}
	var found []Resource
	for _, p := range append(ours, procfs.Descendants(all, ours)...) {
		found = append(found, Resource{Process, fmt.Sprintf("%d %s", p.PID, strings.Join(p.Args, " "))})
	}
	return found, nil
}

func ofRunDir(p procfs.Process, dir datadir.Dir) bool {
	return strings.HasPrefix(p.Program(), "containerd") &&
		slices.ContainsFunc(p.Args, func(a string) bool { return strings.HasPrefix(a, dir.RunDir+"/") })
}

func mountPoints(_ context.Context, dir datadir.Dir) ([]Resource, error) {
	var found []Resource
	for _, base := range []string{dir.RunDir, dir.Pods(), dir.Containerd()} {
		below, err := mounts.Under(base)
		if err != nil {
			return nil, err
		}
		for _, m := range below {
			found = append(found, Resource{Mount, m.Point})
		}
	}
	return found, nil
}

func links(_ context.Context, dir datadir.Dir) ([]Resource, error) {
	names, err := bridge.Links(dir)
	if err != nil {
		return nil, err
	}
	return named(Link, names), nil
}

func tables(ctx context.Context, dir datadir.Dir) ([]Resource, error) {
	var found []Resource
	for _, family := range nftables.Families {
		exists, err := nftables.Exists(ctx, family, dir.HostName())
		if err != nil {
			return nil, err
		}
		if exists {
			found = append(found, Resource{Table, string(family) + " " + dir.HostName()})
		}
	}
	return found, nil
}

func groups(_ context.Context, dir datadir.Dir) ([]Resource, error) {
	h, err := cgroups.Detect()
	if err != nil {
		return nil, err
	}
	dirs, err := h.List(dir.HostName())
	return named(Cgroup, dirs), err
}

func sockets(_ context.Context, dir datadir.Dir) ([]Resource, error) {
	var found []Resource
	err := filepath.WalkDir(dir.RunDir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			found = append(found, Resource{Socket, path})
		}
		return err
	})
	return found, err
}

func named(kind Kind, names []string) []Resource {
	var all []Resource
	for _, name := range names {
		all = append(all, Resource{kind, name})
	}
	return all
}

// RemoveAll ends and removes everything that List lists, in an order in which nothing
// is made anew: first containers (SIGTERM and, after grace, SIGKILL) and their daemon,
// then volumes, network and rules, last the run directory. Images and the files of the
// data directory stay. It must not be called while laterna runs on the directory.
func RemoveAll(ctx context.Context, dir datadir.Dir, grace time.Duration, clk clock.Wall, log *slog.Logger) error {
	if !privileged() {
		if err := os.RemoveAll(dir.RunDir); err != nil {
			return fmt.Errorf("removing sockets: %w", err)
		}
		return nil
	}
	daemon := containerd.New(containerd.Config{
		Root: dir.Containerd(), RunDir: dir.RunDir, HostName: dir.HostName(), CNIConfDir: bridge.ConfDir(dir), Log: log, Clock: clk,
		Ended: func() {
			// Removing what containers wrote takes a little room itself. They would have
			// taken that too while they ran.
			held := reserve.At(dir.Reserve())
			if !held.Wanted() {
				return
			}
			if err := held.Release(); err != nil {
				log.Warn("the disk is full, and its reserve cannot be used", "error", err)
			}
		},
	})
	errs := []error{
		daemon.Stop(ctx, grace),
		mounts.Remove(dir.Pods()),
		bridge.Cleanup(dir),
		nftables.RemoveAll(ctx, dir.HostName()),
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, os.RemoveAll(dir.RunDir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing host resources: %w", err)
	}
	return nil
}
