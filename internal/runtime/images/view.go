package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/image-spec/identity"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// labelView marks the snapshots that views are; its value is the image's id.
	labelView = "laterna.dev/view"
	// labelRoot keeps containerd from collecting what has it.
	labelRoot = "containerd.io/gc.root"
)

// Views are the files of images that are held beside those of containers. Its methods may
// be called concurrently.
type Views struct{ s *Store }

// Views returns those of the store.
func (s *Store) Views() *Views { return &Views{s} }

// View holds the files of an image, and returns the directories that they are in, the
// topmost first. They stay until Release, whatever becomes of the image. id is CRI's, and
// what was held by the key before is given up.
func (v *Views) View(ctx context.Context, key, id string) (dirs []string, err error) {
	ctx = scope(ctx)
	raw, err := v.s.read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of image %s: %w", id, err)
	}
	var config v1.Image
	if err := decode("configuration", raw, &config); err != nil {
		return nil, fmt.Errorf("image %s: %w", id, err)
	}
	if len(config.RootFS.DiffIDs) == 0 {
		return nil, fmt.Errorf("image %s has no files", id)
	}
	if err := v.Release(ctx, key); err != nil {
		return nil, err
	}
	made, err := snapshotsapi.NewSnapshotsClient(v.s.conn).View(ctx, &snapshotsapi.ViewSnapshotRequest{
		Snapshotter: snapshotter, Key: key, Parent: identity.ChainID(config.RootFS.DiffIDs).String(),
		Labels: map[string]string{labelView: id, labelRoot: v.s.clock.Now().UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, fmt.Errorf("holding the files of image %s: %w", id, err)
	}
	if dirs = directories(made.GetMounts()); len(dirs) == 0 {
		return nil, errors.Join(fmt.Errorf("the files of image %s are in no directories: %v", id, made.GetMounts()), v.Release(ctx, key))
	}
	return dirs, nil
}

// directories are those that the overlay snapshotter would mount.
func directories(mounts []*types.Mount) (dirs []string) {
	for _, m := range mounts {
		if m.GetType() == "bind" {
			dirs = append(dirs, m.GetSource())
		}
		for _, option := range m.GetOptions() {
			if lower, ok := strings.CutPrefix(option, "lowerdir="); ok {
				dirs = append(dirs, strings.Split(lower, ":")...)
			}
		}
	}
	return dirs
}

// Release gives up what View holds. It may be called again. Nothing of it may be mounted.
func (v *Views) Release(ctx context.Context, key string) error {
	_, err := snapshotsapi.NewSnapshotsClient(v.s.conn).Remove(scope(ctx), &snapshotsapi.RemoveSnapshotRequest{Snapshotter: snapshotter, Key: key})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("giving up the files of an image, %s: %w", key, err)
	}
	return nil
}

// List are the images that are held, by id, of each key.
func (v *Views) List(ctx context.Context) (map[string]string, error) {
	stream, err := snapshotsapi.NewSnapshotsClient(v.s.conn).List(scope(ctx), &snapshotsapi.ListSnapshotsRequest{
		Snapshotter: snapshotter, Filters: []string{fmt.Sprintf("labels.%q", labelView)},
	})
	if err != nil {
		return nil, fmt.Errorf("listing the images that are held: %w", err)
	}
	views := map[string]string{}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return views, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing the images that are held: %w", err)
		}
		for _, info := range part.GetInfo() {
			views[info.GetName()] = info.GetLabels()[labelView]
		}
	}
}
