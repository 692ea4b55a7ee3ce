package images

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"

	"laterna.dev/laterna/internal/runtime/pause"
)

// EnsurePause makes the sandbox image what it must be, whatever was done to it: its
// name leads to this program's own bytes, all of it is there, and no image that was
// imported bears another name of its repository. It returns the name.
func (s *Store) EnsurePause(ctx context.Context) (string, error) {
	img, err := pause.New()
	if err != nil {
		return "", err
	}
	archive, err := openTar(inMemory{bytes.NewReader(img.Archive)}, scratch{})
	if err != nil {
		return "", fmt.Errorf("reading the sandbox image: %w", err)
	}
	bundles, err := parse(newSource(archive, s.max))
	if err != nil {
		return "", fmt.Errorf("reading the sandbox image: %w", err)
	}
	for _, b := range bundles {
		whole, err := s.whole(scope(ctx), b)
		if err != nil {
			return "", fmt.Errorf("checking the sandbox image: %w", err)
		}
		if whole {
			continue
		}
		// Without a look at the disk: some kilobytes without which nothing starts.
		anyway := func(context.Context, []bundle) error { return nil }
		if _, err := s.store(ctx, archive, bundles, anyway); err != nil {
			return "", fmt.Errorf("importing the sandbox image: %w", err)
		}
	}
	return img.Ref, s.dropImpostors(scope(ctx), img.Ref)
}

// whole tells whether an image is there with all that belongs to it.
func (s *Store) whole(ctx context.Context, b bundle) (bool, error) {
	for _, want := range b.records() {
		got, err := s.record(ctx, want.GetName())
		if err != nil || got == nil || got.GetTarget().GetDigest() != want.GetTarget().GetDigest() || !maps.Equal(got.GetLabels(), want.GetLabels()) {
			return false, err
		}
	}
	parts := append(b.layers[:len(b.layers):len(b.layers)], b.config, b.manifest)
	labels := make([]map[string]string, len(b.layers), len(parts))
	labels = append(labels, b.configLabels(), b.manifestLabels())
	for i, part := range parts {
		if there, err := s.has(ctx, part, labels[i]); err != nil || !there {
			return false, err
		}
	}
	return s.unpacked(ctx, b.chain(len(b.diffs)))
}

// dropImpostors removes the names that only this program may give and that are not
// name: those of its former sandbox images, and those that former versions let anybody
// import. Images of that name that a pod had pulled stay: no sandbox is made of them.
func (s *Store) dropImpostors(ctx context.Context, name string) error {
	list, err := s.images().List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	for _, record := range list.GetImages() {
		if record.GetName() == name || record.GetLabels()[labelImported] != "true" || !sandboxName(record.GetName()) {
			continue
		}
		s.log.Info("former sandbox image removed", "image", record.GetName(), "digest", record.GetTarget().GetDigest())
		if err := s.forget(ctx, record.GetName()); err != nil {
			return err
		}
	}
	return nil
}
