package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"laterna.dev/laterna/internal/node/pause"
)

const (
	chunk = 1 << 20
	// leaseLife bounds how long content of an import that was killed stays.
	leaseLife = time.Hour
	// retry is how often CRI is asked whether it has seen a new image.
	retry = 2 * time.Millisecond
	// busy is how often a blob is tried that another import writes.
	busy = 20 * time.Millisecond
)

// ImportFile imports all images of a docker archive or an OCI layout: a tar file,
// plain or gzipped, or a directory. When it returns, CRI knows the images. Images
// without a name get the name fallback, or are refused when fallback is empty.
func (s *Store) ImportFile(ctx context.Context, path, fallback string) ([]Image, error) {
	f, err := openFiles(path)
	if err != nil {
		return nil, fmt.Errorf("importing %s: %w", path, err)
	}
	defer f.Close()
	imported, err := s.importFiles(ctx, f, fallback)
	if err != nil {
		return nil, fmt.Errorf("importing %s: %w", path, err)
	}
	return imported, nil
}

// EnsurePause imports the sandbox image unless it is there. It returns its name.
func (s *Store) EnsurePause(ctx context.Context) (string, error) {
	img, err := pause.New()
	if err != nil {
		return "", err
	}
	if there, err := s.Imported(ctx, img.Ref); err != nil || there {
		return img.Ref, err
	}
	archive, err := openTar(inMemory{bytes.NewReader(img.Archive)})
	if err != nil {
		return "", fmt.Errorf("reading the sandbox image: %w", err)
	}
	if _, err := s.importFiles(ctx, archive, ""); err != nil {
		return "", fmt.Errorf("importing the sandbox image: %w", err)
	}
	return img.Ref, nil
}

func (s *Store) importFiles(ctx context.Context, f files, fallback string) ([]Image, error) {
	bundles, err := parse(f)
	if err != nil {
		return nil, err
	}
	for i := range bundles {
		if len(bundles[i].names) > 0 {
			continue
		}
		if fallback == "" || len(bundles) > 1 {
			return nil, errors.New("the archive does not name its image; give the name with --name")
		}
		name, err := Normalize(fallback)
		if err != nil {
			return nil, err
		}
		bundles[i].names = []string{name}
	}
	var imported []Image
	for _, b := range bundles {
		written, err := s.write(scope(ctx), f, b)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", b.names[0], err)
		}
		imported = append(imported, written...)
	}
	return imported, nil
}

// write stores one image: blobs first, then unpacked layers, then names, all under a
// lease so that nothing is collected before a name holds it.
func (s *Store) write(ctx context.Context, f files, b bundle) ([]Image, error) {
	ctx, release, err := s.lease(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	manifestLabels := map[string]string{"containerd.io/gc.ref.content.config": b.config.Digest.String()}
	for i, layer := range b.layers {
		if err := s.writeBlob(ctx, f, layer, nil); err != nil {
			return nil, fmt.Errorf("writing layer %d: %w", i+1, err)
		}
		manifestLabels["containerd.io/gc.ref.content.l."+strconv.Itoa(i)] = layer.Digest.String()
	}
	top, err := s.unpack(ctx, b)
	if err != nil {
		return nil, err
	}
	configLabels := map[string]string{}
	if top != "" {
		configLabels["containerd.io/gc.ref.snapshot."+snapshotter] = top
	}
	if err := s.writeBlob(ctx, f, b.config, configLabels); err != nil {
		return nil, fmt.Errorf("writing configuration: %w", err)
	}
	if err := s.writeBlob(ctx, f, b.manifest, manifestLabels); err != nil {
		return nil, fmt.Errorf("writing manifest: %w", err)
	}
	return s.name(ctx, b)
}

// name writes the image's records, those with names and the one that CRI keeps under
// the image's id, and waits until CRI has taken notice.
func (s *Store) name(ctx context.Context, b bundle) ([]Image, error) {
	labels := map[string]string{labelManaged: managed, labelPinned: pinned}
	if err := s.record(ctx, b.config.Digest.String(), b.manifest.Descriptor, labels); err != nil {
		return nil, err
	}
	labels = maps.Clone(labels)
	labels[labelImported] = "true"
	var written []Image
	for _, name := range b.names {
		if err := s.record(ctx, name, b.manifest.Descriptor, labels); err != nil {
			return nil, err
		}
		if err := s.awaitCRI(ctx, name, b.config.Digest.String()); err != nil {
			return nil, err
		}
		img := Image{Name: name, Digest: b.manifest.Digest.String(), ID: b.config.Digest.String(), Imported: true}
		for _, part := range append(b.layers, b.manifest, b.config) {
			img.Size += part.Size
		}
		written = append(written, img)
		s.log.Info("image imported", "image", name, "digest", img.Digest)
	}
	return written, nil
}

// record makes or moves an image record.
func (s *Store) record(ctx context.Context, name string, target v1.Descriptor, labels map[string]string) error {
	img := &imagesapi.Image{Name: name, Labels: labels, Target: descriptor(target)}
	_, err := s.images().Create(ctx, &imagesapi.CreateImageRequest{Image: img})
	if status.Code(err) == codes.AlreadyExists {
		_, err = s.images().Update(ctx, &imagesapi.UpdateImageRequest{
			Image: img, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"target", "labels"}},
		})
	}
	if err != nil {
		return fmt.Errorf("naming image %s: %w", name, err)
	}
	return nil
}

func descriptor(d v1.Descriptor) *types.Descriptor {
	return &types.Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size}
}

// awaitCRI returns once CRI answers for the name with the image's id. CRI hears of
// images that come past it by an event, some milliseconds later.
func (s *Store) awaitCRI(ctx context.Context, name, id string) error {
	ticker := s.clock.NewTicker(retry)
	defer ticker.Stop()
	for {
		got, err := s.cri.ImageStatus(ctx, name)
		if err != nil {
			return fmt.Errorf("asking the runtime for image %s: %w", name, err)
		}
		if got != nil && got.ID == id {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the runtime to see image %s: %w", name, ctx.Err())
		case <-ticker.C():
		}
	}
}

// lease keeps what is made with the returned context from being collected until
// release is called, or for leaseLife.
func (s *Store) lease(ctx context.Context) (context.Context, func(), error) {
	leases := leasesapi.NewLeasesClient(s.conn)
	got, err := leases.Create(ctx, &leasesapi.CreateRequest{Labels: map[string]string{
		"containerd.io/gc.expire": s.clock.Now().Add(leaseLife).Format(time.RFC3339),
	}})
	if err != nil {
		return nil, nil, fmt.Errorf("leasing: %w", err)
	}
	id := got.GetLease().GetID()
	release := func() {
		_, err := leases.Delete(context.WithoutCancel(ctx), &leasesapi.DeleteRequest{ID: id})
		if err != nil {
			s.log.Warn("lease stays until it expires", "lease", id, "error", err)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", id), release, nil
}

// writeBlob stores a blob unless it is there, and sets its labels.
func (s *Store) writeBlob(ctx context.Context, f files, b blob, labels map[string]string) error {
	digest := b.Digest.String()
	written, err := s.ensureBlob(ctx, f, b, labels)
	if err != nil || written {
		return err
	}
	if len(labels) == 0 {
		return nil
	}
	mask := &fieldmaskpb.FieldMask{}
	for key := range labels {
		mask.Paths = append(mask.Paths, "labels."+key)
	}
	_, err = s.content().Update(ctx, &contentapi.UpdateRequest{Info: &contentapi.Info{Digest: digest, Labels: labels}, UpdateMask: mask})
	if err != nil {
		return fmt.Errorf("labelling %s: %w", digest, err)
	}
	return nil
}

// ensureBlob uploads a blob unless it is there, which it reports. While another import
// uploads the same blob, containerd answers Unavailable.
func (s *Store) ensureBlob(ctx context.Context, f files, b blob, labels map[string]string) (written bool, err error) {
	ticker := s.clock.NewTicker(busy)
	defer ticker.Stop()
	for {
		_, err := s.content().Info(ctx, &contentapi.InfoRequest{Digest: b.Digest.String()})
		if status.Code(err) != codes.NotFound {
			return false, err
		}
		switch err = s.upload(ctx, f, b, labels); status.Code(err) {
		case codes.AlreadyExists:
			return false, nil
		case codes.Unavailable:
		default:
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for another import of %s: %w", b.Digest, ctx.Err())
		case <-ticker.C():
		}
	}
}

// upload sends a blob in parts; containerd checks length and digest at the end. The
// error of a blob that is there already has the code AlreadyExists.
func (s *Store) upload(ctx context.Context, f files, b blob, labels map[string]string) error {
	r := io.NopCloser(bytes.NewReader(b.data))
	if b.member != "" {
		var err error
		if r, _, err = f.open(b.member); err != nil {
			return err
		}
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.content().Write(ctx)
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	ref, buf := "laterna-import-"+b.Digest.String(), make([]byte, min(chunk, max(b.Size, 1)))
	for offset := int64(0); ; {
		n, err := io.ReadFull(r, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("reading: %w", err)
		}
		part := &contentapi.WriteContentRequest{
			Action: contentapi.WriteAction_WRITE, Ref: ref, Total: b.Size, Expected: b.Digest.String(), Offset: offset, Data: buf[:n],
		}
		if last {
			part.Action, part.Labels = contentapi.WriteAction_COMMIT, labels
		}
		if err := stream.Send(part); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("writing: %w", err)
		}
		if _, err := stream.Recv(); err != nil || last {
			return err
		}
		offset += int64(n)
	}
}
