package containerd

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/wait"
)

const (
	// strayPause is between the first looks for strays, which calls leave behind that an
	// agent's end has cut off, and strayPeriod between those after earlyLooks of them.
	strayPause  = 5 * time.Second
	strayPeriod = 10 * time.Minute
	earlyLooks  = 6
	// strayGrace is how long a shim has to remove its socket.
	strayGrace = 2 * time.Second
)

// EndStrays ends, until ctx ends, shims that the daemon has no record of: where a call
// that makes a sandbox is cut off, containerd forgets the sandbox and may leave its shim
// running, for nobody. It is called after Start.
func (d *Daemon) EndStrays(ctx context.Context) {
	var suspects []procfs.Process
	for look := 1; ; look++ {
		found, err := d.strays(ctx)
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("no look for shims that are left over", "error", err)
		}
		// A shim that has only just begun, or is about to end, is not seen twice.
		if again := both(suspects, found); len(again) > 0 {
			d.endStrays(ctx, again)
		}
		suspects = found
		pause := strayPause
		if look >= earlyLooks && len(suspects) == 0 {
			pause = strayPeriod
		}
		if !wait.Pause(ctx, d.cfg.Clock, pause) {
			return
		}
	}
}

// strays are the shims for which there is no record. Shims come after their records and
// go before them.
func (d *Daemon) strays(ctx context.Context) ([]procfs.Process, error) {
	shims, err := d.shims()
	if err != nil || len(shims) == 0 {
		return nil, err
	}
	known, err := d.records(ctx)
	if err != nil {
		return nil, err
	}
	var strays []procfs.Process
	for _, s := range shims {
		if !known[s.Arg("-id")] {
			strays = append(strays, s)
		}
	}
	return strays, nil
}

// records are the IDs of the containers and sandboxes that the daemon knows.
func (d *Daemon) records(ctx context.Context) (map[string]bool, error) {
	known := map[string]bool{}
	err := d.withContainers(ctx, func(ctx context.Context, conn *grpc.ClientConn, list []*containersapi.Container) error {
		for _, c := range list {
			known[c.GetID()] = true
		}
		return sandboxRecords(ctx, conn, known)
	})
	return known, err
}

func sandboxRecords(ctx context.Context, conn *grpc.ClientConn, known map[string]bool) error {
	list, err := sandboxapi.NewStoreClient(conn).List(ctx, &sandboxapi.StoreListRequest{})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing sandboxes: %w", err)
	}
	for _, s := range list.GetList() {
		known[s.GetSandboxID()] = true
	}
	return nil
}

// endStrays ends shims with what runs below them.
func (d *Daemon) endStrays(ctx context.Context, strays []procfs.Process) {
	all, err := procfs.List()
	if err == nil {
		err = procfs.End(ctx, append(procfs.Descendants(all, strays), strays...), strayGrace)
	}
	for _, s := range strays {
		d.cfg.Log.Warn("ended a shim that the container runtime has no record of", "pid", s.PID, "sandbox", s.Arg("-id"), "error", err)
	}
}

// both are the processes of b that a has too.
func both(a, b []procfs.Process) (in []procfs.Process) {
	for _, p := range b {
		for _, q := range a {
			if p.PID == q.PID && p.Start == q.Start {
				in = append(in, p)
			}
		}
	}
	return in
}
