package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
)

const (
	// labelSource, with the host of a registry, holds the repositories on it that a blob
	// was pulled from; labelChild, with more behind it, a blob that a manifest names.
	labelSource = "containerd.io/distribution.source."
	labelChild  = "containerd.io/gc.ref.content"
	// unpacked begins the names of layers that are being unpacked.
	unpacked = "extract-"
)

// Progress is how far the pulls of a repository (docker.io/library/busybox) are. mark changes
// with what has come for one of them, and once something has, as long as a layer is being
// unpacked, whosesoever it is: one that failed may look so, too. With open a blob has been asked for and is not there yet: containerd shows of that
// whole mebibytes only.
func (s *Store) Progress(ctx context.Context, repository string) (mark string, open bool, err error) {
	ctx = scope(ctx)
	blobs, children, err := blobsOf(ctx, s.content(), repository)
	if err != nil {
		return "", false, fmt.Errorf("looking what was pulled of %s: %w", repository, err)
	}
	under, err := s.content().ListStatuses(ctx, &contentapi.ListStatusesRequest{})
	if err != nil {
		return "", false, fmt.Errorf("looking what is being pulled of %s: %w", repository, err)
	}
	parts := []string{fmt.Sprint(blobs)}
	for _, u := range under.GetStatuses() {
		// layer-sha256:…, and before it is known what a manifest names the manifest itself.
		kind, digest, _ := strings.Cut(u.GetRef(), "-")
		if children[digest] || kind == "manifest" || kind == "index" {
			parts, open = append(parts, fmt.Sprint(digest, " ", u.GetOffset())), open || children[digest]
		}
	}
	if blobs > 0 {
		unpacking, err := isUnpacking(ctx, snapshotsapi.NewSnapshotsClient(s.conn))
		if err != nil {
			return "", false, fmt.Errorf("looking what is being unpacked: %w", err)
		}
		if unpacking {
			parts = append(parts, s.clock.Now().String())
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n"), open, nil
}

// blobsOf counts the blobs that were pulled from a repository. children are those that
// their manifests name.
func blobsOf(ctx context.Context, content contentapi.ContentClient, repository string) (count int, children map[string]bool, err error) {
	registry, path, _ := strings.Cut(repository, "/")
	host, _, _ := strings.Cut(registry, ":") // containerd leaves the port out
	label := labelSource + host
	children = map[string]bool{}
	stream, err := content.List(ctx, &contentapi.ListContentRequest{Filters: []string{fmt.Sprintf("labels.%q", label)}})
	if err != nil {
		return 0, nil, err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return count, children, nil
		}
		if err != nil {
			return 0, nil, err
		}
		for _, blob := range part.GetInfo() {
			if !slices.Contains(strings.Split(blob.GetLabels()[label], ","), path) {
				continue
			}
			count++
			for name, digest := range blob.GetLabels() {
				if strings.HasPrefix(name, labelChild) {
					children[digest] = true
				}
			}
		}
	}
}

// isUnpacking tells whether a layer is being unpacked.
func isUnpacking(ctx context.Context, snapshots snapshotsapi.SnapshotsClient) (bool, error) {
	stream, err := snapshots.List(ctx, &snapshotsapi.ListSnapshotsRequest{
		Snapshotter: snapshotter, Filters: []string{"kind==active,name~=" + unpacked},
	})
	if err != nil {
		return false, err
	}
	found := false
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return false, err
		}
		for _, info := range part.GetInfo() {
			found = found || strings.Contains(info.GetName(), unpacked)
		}
	}
}
