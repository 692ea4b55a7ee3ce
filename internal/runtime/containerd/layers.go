package containerd

import (
	"context"
	"fmt"
	"strings"

	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// WritableLayers returns the directories of what containers have written over their
// images, by container, of the containerd that listens on socket. It has those of
// containers that have ended, too.
func WritableLayers(ctx context.Context, socket string) (map[string]string, error) {
	conn, err := Dial(socket)
	if err != nil {
		return nil, fmt.Errorf("listing layers of containers: %w", err)
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", Namespace)
	list, err := containers(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("listing layers of containers: %w", err)
	}
	layers := map[string]string{}
	for _, c := range list {
		if c.GetSnapshotKey() == "" {
			continue
		}
		got, err := snapshotsapi.NewSnapshotsClient(conn).Mounts(ctx, &snapshotsapi.MountsRequest{Snapshotter: c.GetSnapshotter(), Key: c.GetSnapshotKey()})
		if status.Code(err) == codes.NotFound {
			continue // it was removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("finding the layer of container %s: %w", c.GetID(), err)
		}
		for _, m := range got.GetMounts() {
			for _, option := range m.GetOptions() {
				if dir, ok := strings.CutPrefix(option, "upperdir="); ok {
					layers[c.GetID()] = dir
				}
			}
		}
	}
	return layers, nil
}

// collect has containerd remove from the disk what nothing refers to any more, and
// returns when that is done: the end of a lease waits for it.
func collect(ctx context.Context, conn *grpc.ClientConn) error {
	const id = "laterna-collect"
	leases := leasesapi.NewLeasesClient(conn)
	if _, err := leases.Create(ctx, &leasesapi.CreateRequest{ID: id}); err != nil && status.Code(err) != codes.AlreadyExists {
		return fmt.Errorf("removing layers from the disk: %w", err)
	}
	if _, err := leases.Delete(ctx, &leasesapi.DeleteRequest{ID: id, Sync: true}); err != nil {
		return fmt.Errorf("removing layers from the disk: %w", err)
	}
	return nil
}
