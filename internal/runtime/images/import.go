package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"laterna.dev/laterna/internal/wait"
)

const (
	chunk = 1 << 20
	// leaseLife bounds how long content of an import that was killed stays.
	leaseLife = time.Hour
	// busy is how often a blob is tried that another import writes.
	busy = 20 * time.Millisecond
	// undoTimeout bounds the clearing away of an import that failed or was ended.
	undoTimeout = 30 * time.Second
)

// ImportFile imports all images of a docker archive or an OCI layout: a tar file,
// plain or gzipped, or a directory. When it returns, CRI knows the images. Images
// without a name get the name fallback, or are refused when fallback is empty.
//
// The archive is read to its end before anything is written: one that holds more than
// Config.MaxSize or than the disk has room for, that is damaged, or that claims a name
// it must not have, leaves nothing behind. It waits for a runtime that is still
// starting, for up to 30 s. Names move last, those of an image all or none.
func (s *Store) ImportFile(ctx context.Context, path, fallback string) ([]Image, error) {
	f, err := openFiles(path, scratch{dir: s.disk.dir, max: s.max})
	if err != nil {
		return nil, fmt.Errorf("importing %s: %w", path, err)
	}
	defer f.Close()
	imported, err := s.importFiles(ctx, f, fallback)
	if err != nil {
		return imported, fmt.Errorf("importing %s: %w", path, err)
	}
	return imported, nil
}

func (s *Store) importFiles(ctx context.Context, f files, fallback string) ([]Image, error) {
	bundles, err := parse(newSource(f, s.max))
	if err != nil {
		return nil, err
	}
	if err := nameAll(bundles, fallback); err != nil {
		return nil, err
	}
	for _, b := range bundles {
		if err := b.mayBeNamed(); err != nil {
			return nil, err
		}
	}
	return s.store(ctx, f, bundles, s.room)
}

// nameAll gives an image without a name the fallback.
func nameAll(bundles []bundle, fallback string) error {
	for i := range bundles {
		if len(bundles[i].names) > 0 {
			continue
		}
		if len(bundles) > 1 {
			return errors.New("the archive has several images and does not name all of them; save each image that has no name in an archive of its own, or give it a name first")
		}
		if fallback == "" {
			return errors.New("the archive does not name its image; give the name with --name")
		}
		name, err := Normalize(fallback)
		if err != nil {
			return err
		}
		bundles[i].names = []string{name}
	}
	return nil
}

// store writes images and names them once the runtime answers and room is content. A
// lease keeps them from being collected before a name holds them. Beside an error come
// the images that were named before.
func (s *Store) store(ctx context.Context, f files, bundles []bundle, room func(context.Context, []bundle) error) (imported []Image, err error) {
	ctx = scope(ctx)
	if err := s.awaitRuntime(ctx); err != nil {
		return nil, err
	}
	if err := room(ctx, bundles); err != nil {
		return nil, err
	}
	ctx, release, err := s.lease(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { release(err != nil) }()
	m := s.reporter(bundles)
	for i, b := range bundles {
		m.begin(i)
		if err := s.write(ctx, f, b, m); err != nil {
			return nil, fmt.Errorf("image %s: %w", b.names[0], err)
		}
	}
	for _, b := range bundles {
		if err := s.name(ctx, b); err != nil {
			return imported, fmt.Errorf("image %s: %w", b.names[0], err)
		}
		imported = append(imported, b.images()...)
	}
	for _, img := range imported {
		s.log.Info("image imported", "image", img.Name, "digest", img.Digest)
	}
	return imported, nil
}

// images describes the image under each of its names.
func (b bundle) images() (all []Image) {
	size := b.manifest.Size + b.config.Size
	for _, layer := range b.layers {
		size += layer.Size
	}
	for _, name := range b.names {
		all = append(all, Image{Name: name, Digest: b.manifest.Digest.String(), ID: b.config.Digest.String(), Size: size, Imported: true})
	}
	return all
}

// write stores one image: its layers, unpacked too, then what refers to them.
func (s *Store) write(ctx context.Context, f files, b bundle, m *reporter) error {
	for i, layer := range b.layers {
		if err := s.writeBlob(ctx, f, layer, nil, m); err != nil {
			return fmt.Errorf("writing layer %d: %w", i+1, err)
		}
	}
	m.unpack()
	if err := s.unpack(ctx, b); err != nil {
		return err
	}
	if err := s.writeBlob(ctx, f, b.config, b.configLabels(), m); err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	if err := s.writeBlob(ctx, f, b.manifest, b.manifestLabels(), m); err != nil {
		return fmt.Errorf("writing manifest: %w", err)
	}
	return nil
}

// configLabels keep the unpacked layers from being collected.
func (b bundle) configLabels() map[string]string {
	labels := map[string]string{}
	if n := len(b.diffs); n > 0 {
		labels["containerd.io/gc.ref.snapshot."+snapshotter] = b.chain(n)
	}
	return labels
}

// manifestLabels keep configuration and layers from being collected.
func (b bundle) manifestLabels() map[string]string {
	labels := map[string]string{"containerd.io/gc.ref.content.config": b.config.Digest.String()}
	for i, layer := range b.layers {
		labels["containerd.io/gc.ref.content.l."+strconv.Itoa(i)] = layer.Digest.String()
	}
	return labels
}

func descriptor(d v1.Descriptor) *types.Descriptor {
	return &types.Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size}
}

// lease keeps what is made with the returned context from being collected until
// release is called, or for leaseLife. Released now, what nothing refers to is gone
// when release returns.
func (s *Store) lease(ctx context.Context) (context.Context, func(now bool), error) {
	leases := leasesapi.NewLeasesClient(s.conn)
	got, err := leases.Create(ctx, &leasesapi.CreateRequest{Labels: map[string]string{
		"containerd.io/gc.expire": s.clock.Now().Add(leaseLife).Format(time.RFC3339),
	}})
	if err != nil {
		return nil, nil, fmt.Errorf("leasing: %w", err)
	}
	id := got.GetLease().GetID()
	release := func(now bool) {
		ctx, cancel := s.undoing(ctx)
		defer cancel()
		_, err := leases.Delete(ctx, &leasesapi.DeleteRequest{ID: id, Sync: now})
		if err != nil {
			s.log.Warn("lease stays until it expires", "lease", id, "error", err)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, leaseHeader, id), release, nil
}

// leaseHeader is how containerd is told of the lease of a call.
const leaseHeader = "containerd-lease"

// undoing is ctx for what must be done also when ctx has ended.
func (s *Store) undoing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
}

// writeBlob stores a blob unless it is there, and sets its labels.
func (s *Store) writeBlob(ctx context.Context, f files, b blob, labels map[string]string, m *reporter) error {
	digest := b.Digest.String()
	before := m.now.Done
	written, err := s.ensureBlob(ctx, f, b, labels, m)
	m.set(before + b.Size) // also what was there, and not what was sent twice
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
func (s *Store) ensureBlob(ctx context.Context, f files, b blob, labels map[string]string, m *reporter) (written bool, err error) {
	for {
		_, err := s.content().Info(ctx, &contentapi.InfoRequest{Digest: b.Digest.String()})
		if status.Code(err) != codes.NotFound {
			return false, err
		}
		switch err = s.upload(ctx, f, b, labels, m); status.Code(err) {
		case codes.OK:
			return true, nil
		case codes.AlreadyExists:
			return false, nil
		case codes.Unavailable:
		default:
			s.abort(ctx, b)
			return false, err
		}
		if !wait.Pause(ctx, s.clock, busy) {
			return false, fmt.Errorf("waiting for another import of %s: %w", b.Digest, ctx.Err())
		}
	}
}

// upload sends a blob in parts; containerd checks length and digest at the end. The
// error of a blob that is there already has the code AlreadyExists.
func (s *Store) upload(ctx context.Context, f files, b blob, labels map[string]string, m *reporter) error {
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
	ref, buf := ingest(b), make([]byte, min(chunk, max(b.Size, 1)))
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
		m.set(m.now.Done + int64(n))
	}
}

// ingest names the upload of a blob.
func ingest(b blob) string { return "laterna-import-" + b.Digest.String() }

// abort removes what an upload that failed has sent. Another import that sends the
// same blob begins again.
func (s *Store) abort(ctx context.Context, b blob) {
	ctx, cancel := s.undoing(ctx)
	defer cancel()
	_, err := s.content().Abort(ctx, &contentapi.AbortRequest{Ref: ingest(b)})
	if err != nil && status.Code(err) != codes.NotFound {
		s.log.Warn("part of a blob stays until its lease expires", "blob", b.Digest.String(), "error", err)
	}
}
