package images

import (
	"context"
	"fmt"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// chain names the snapshot of the first n layers.
func (b bundle) chain(n int) string { return identity.ChainID(b.diffs[:n]).String() }

// unpack makes the snapshots of all layers, so that the first container of the image
// does not wait for it. An image without layers has none.
func (s *Store) unpack(ctx context.Context, b bundle) error {
	parent := ""
	for i, layer := range b.layers {
		name := b.chain(i + 1)
		if err := s.unpackLayer(ctx, layer, b.diffs[i], parent, name); err != nil {
			return fmt.Errorf("unpacking layer %d: %w", i+1, err)
		}
		parent = name
	}
	return nil
}

// unpacked tells whether there is a snapshot with the name of a chain of layers.
func (s *Store) unpacked(ctx context.Context, name string) (bool, error) {
	_, err := snapshotsapi.NewSnapshotsClient(s.conn).Stat(ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: snapshotter, Key: name})
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the unpacked layer %s: %w", name, err)
	}
	return true, nil
}

func (s *Store) unpackLayer(ctx context.Context, layer blob, diff digest.Digest, parent, name string) error {
	snapshots := snapshotsapi.NewSnapshotsClient(s.conn)
	if there, err := s.unpacked(ctx, name); err != nil || there {
		return err
	}
	key := fmt.Sprintf("laterna-extract-%d %s", s.clock.Now().UnixNano(), name)
	prepared, err := snapshots.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Snapshotter: snapshotter, Key: key, Parent: parent})
	if err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	err = s.apply(ctx, layer, diff, prepared.GetMounts())
	if err == nil {
		_, err = snapshots.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: snapshotter, Key: key, Name: name})
	}
	if err == nil {
		return nil
	}
	undo, cancel := s.undoing(ctx)
	defer cancel()
	_, errRemove := snapshots.Remove(undo, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: snapshotter, Key: key})
	if errRemove != nil {
		s.log.Warn("snapshot stays until its lease expires", "snapshot", key, "error", errRemove)
	}
	if status.Code(err) == codes.AlreadyExists { // another import was faster
		return nil
	}
	return err
}

// apply unpacks a layer and checks that its content is what the configuration says.
func (s *Store) apply(ctx context.Context, layer blob, diff digest.Digest, mounts []*types.Mount) error {
	applied, err := diffapi.NewDiffClient(s.conn).Apply(ctx, &diffapi.ApplyRequest{Diff: descriptor(layer.Descriptor), Mounts: mounts})
	if err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	if found := applied.GetApplied().GetDigest(); found != diff.String() {
		return fmt.Errorf("its content has digest %s, the configuration says %s: the archive is damaged", found, diff)
	}
	return nil
}
