package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	sandboxapi "github.com/containerd/containerd/api/services/sandbox/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/mounts"
	"laterna.dev/laterna/internal/host/procfs"
)

// shimSocketDir is where the shims of every containerd put their sockets.
const shimSocketDir = "/run/containerd/s"

// Stop ends containers, shims and the daemon, and removes their mounts, state and
// sockets; images stay. Containers get SIGTERM and, after grace, SIGKILL. It works
// as well when the daemon, or everything, has died before.
func (d *Daemon) Stop(ctx context.Context, grace time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	running, err := d.find()
	if err != nil {
		return fmt.Errorf("stopping containerd: %w", err)
	}
	shims, err := d.shims()
	if err != nil {
		return fmt.Errorf("stopping containerd: %w", err)
	}
	sockets := d.shimSockets()
	errs := []error{d.endContainers(ctx, shims, grace)}
	if d.cfg.Ended != nil {
		d.cfg.Ended()
	}
	if len(running) > 0 {
		if err := d.forgetContainers(ctx); err != nil {
			d.cfg.Log.Warn("containerd keeps records of ended containers, and what they wrote stays on the disk until `laterna up`", "error", err)
		}
	}
	errs = append(errs, procfs.End(ctx, running, endTimeout), procfs.End(ctx, shims, 0), d.endStragglers(ctx))
	errs = append(errs, d.removeState(sockets), d.removeCgroups())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping containerd: %w", err)
	}
	return nil
}

// removeState unmounts and removes what containers leave in the file system. Nothing
// is removed while a mount is left, since removing would reach through it.
func (d *Daemon) removeState(sockets []string) error {
	if err := errors.Join(mounts.Remove(d.cfg.RunDir), mounts.Remove(d.cfg.Root)); err != nil {
		return err
	}
	err := removeAll(append(sockets, d.leftovers()...))
	for _, dir := range []string{shimSocketDir, filepath.Dir(shimSocketDir)} {
		_ = os.Remove(dir) // succeeds only when no other containerd has a file there
	}
	return err
}

// shims returns the shims of this daemon, one for each sandbox.
func (d *Daemon) shims() ([]procfs.Process, error) {
	return procfs.Find(func(p procfs.Process) bool {
		return strings.HasPrefix(p.Program(), "containerd-shim") && p.Arg("-address") == d.Socket()
	})
}

// endStragglers waits for what the daemon had begun and not awaited, such as the
// deletion of a container that has just ended, and ends what takes too long.
func (d *Daemon) endStragglers(ctx context.Context) error {
	left, err := procfs.Find(func(p procfs.Process) bool {
		name := p.Program()
		return (strings.HasPrefix(name, "containerd-shim") || name == "runc") && strings.Contains(strings.Join(p.Args, " "), d.cfg.RunDir+"/")
	})
	if err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for _, p := range left {
		if p.Wait(patience) != nil {
			break
		}
	}
	return procfs.End(ctx, left, 0)
}

// endContainers ends all processes of containers: those below shims, and those in
// the node's control group whose shim has died. Sandboxes end last, since their
// namespaces hold the network that others may need to say goodbye.
func (d *Daemon) endContainers(ctx context.Context, shims []procfs.Process, grace time.Duration) error {
	all, err := procfs.List()
	if err != nil {
		return err
	}
	in, err := d.contained()
	if err != nil {
		return err
	}
	for _, p := range procfs.Descendants(all, shims) {
		in[p.PID] = true
	}
	var containers, sandboxes []procfs.Process
	for _, p := range all {
		switch {
		case !in[p.PID]:
		case p.Program() == "pause":
			sandboxes = append(sandboxes, p)
		default:
			containers = append(containers, p)
		}
	}
	if err := procfs.End(ctx, containers, grace); err != nil {
		return err
	}
	return procfs.End(ctx, sandboxes, 0)
}

// forgetContainers deletes the records of all containers and their writable layers,
// so that the next start does not list what has ended.
func (d *Daemon) forgetContainers(ctx context.Context) error {
	return d.withContainers(ctx, func(ctx context.Context, conn *grpc.ClientConn, list []*containersapi.Container) error {
		var errs []error
		for _, c := range list {
			errs = append(errs, forget(ctx, conn, c))
		}
		// The daemon would remove the layers from the disk later, and is about to end.
		return errors.Join(append(errs, forgetSandboxes(ctx, conn), collect(ctx, conn))...)
	})
}

// withContainers calls do with a connection to the daemon's own API, and the containers
// that it knows. All of it takes endTimeout at most.
func (d *Daemon) withContainers(ctx context.Context, do func(ctx context.Context, conn *grpc.ClientConn, list []*containersapi.Container) error) error {
	conn, err := Dial(d.Socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", Namespace)
	list, err := containers(ctx, conn)
	if err != nil {
		return fmt.Errorf("listing containers: %w", err)
	}
	return do(ctx, conn, list)
}

// containers returns all containers, without their specifications: they come one by
// one, since a few with a large environment are too much for one message.
func containers(ctx context.Context, conn *grpc.ClientConn) ([]*containersapi.Container, error) {
	stream, err := containersapi.NewContainersClient(conn).ListStream(ctx, &containersapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	var all []*containersapi.Container
	for {
		next, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		c := next.GetContainer()
		all = append(all, &containersapi.Container{ID: c.GetID(), Snapshotter: c.GetSnapshotter(), SnapshotKey: c.GetSnapshotKey()})
	}
}

// forgetSandboxes deletes the records that containerd 2 keeps of sandboxes apart from
// their containers.
func forgetSandboxes(ctx context.Context, conn *grpc.ClientConn) error {
	store := sandboxapi.NewStoreClient(conn)
	list, err := store.List(ctx, &sandboxapi.StoreListRequest{})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing sandboxes: %w", err)
	}
	var errs []error
	for _, s := range list.GetList() {
		_, err := store.Delete(ctx, &sandboxapi.StoreDeleteRequest{SandboxID: s.GetSandboxID()})
		if err != nil && status.Code(err) != codes.NotFound {
			errs = append(errs, fmt.Errorf("deleting sandbox %s: %w", s.GetSandboxID(), err))
		}
	}
	return errors.Join(errs...)
}

func forget(ctx context.Context, conn *grpc.ClientConn, c *containersapi.Container) error {
	_, err := containersapi.NewContainersClient(conn).Delete(ctx, &containersapi.DeleteContainerRequest{ID: c.GetID()})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("deleting container %s: %w", c.GetID(), err)
	}
	if c.GetSnapshotKey() == "" {
		return nil
	}
	_, err = snapshotsapi.NewSnapshotsClient(conn).Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{
		Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey(),
	})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("removing layer of container %s: %w", c.GetID(), err)
	}
	return nil
}

// shimSockets returns the sockets of shims. They lie in one directory for all
// containerds of a machine, so each is known from its sandbox's bundle only: from the
// file address, or with containerd 2 from bootstrap.json.
func (d *Daemon) shimSockets() []string {
	bundles, _ := filepath.Glob(filepath.Join(d.state(), "io.containerd.runtime.v2.task", "*", "*"))
	var sockets []string
	for _, bundle := range bundles {
		if path, ok := strings.CutPrefix(shimAddress(bundle), "unix://"); ok {
			sockets = append(sockets, path)
		}
	}
	return sockets
}

func shimAddress(bundle string) string {
	if raw, err := bounded.File(filepath.Join(bundle, "address"), bounded.Small); err == nil {
		return strings.TrimSpace(string(raw))
	}
	var bootstrap struct {
		Address string `json:"address"`
	}
	raw, err := bounded.File(filepath.Join(bundle, "bootstrap.json"), bounded.Small)
	if err != nil || json.Unmarshal(raw, &bootstrap) != nil {
		return ""
	}
	return bootstrap.Address
}

// leftovers are the files that must not outlive the containers.
func (d *Daemon) leftovers() []string {
	paths := []string{d.state(), d.Socket(), d.Socket() + ".ttrpc", filepath.Join(d.cfg.RunDir, "runc")}
	for _, pattern := range []string{
		configFile(d.cfg.RunDir, "*"),
		filepath.Join(d.cfg.Root, criPlugin, "sandboxes", "*"),
		filepath.Join(d.cfg.Root, criPlugin, "containers", "*"),
	} {
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	return paths
}

func removeAll(paths []string) error {
	var errs []error
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Daemon) removeCgroups() error {
	h, err := cgroups.Detect()
	if err != nil {
		return err
	}
	return h.Remove(d.cfg.HostName)
}
