package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

const (
	// retry is how often CRI is asked whether it has seen a new image.
	retry = 2 * time.Millisecond
	// starting is how often a runtime is asked that is starting, startTimeout how long:
	// as long as the managed containerd is waited for.
	starting     = 20 * time.Millisecond
	startTimeout = 30 * time.Second
)

// awaitRuntime returns once CRI answers: containerd takes calls before it has read its
// images back.
func (s *Store) awaitRuntime(ctx context.Context) error {
	return s.until(ctx, starting, "the container runtime to answer", func(ctx context.Context) (bool, error) {
		_, err := s.cri.Status(ctx)
		return err == nil, err
	})
}

// until asks now and again, for up to startTimeout. The error is that of the last
// answer, if it had one. One that the runtime does not know the call ends it.
func (s *Store) until(ctx context.Context, pause time.Duration, what string, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	for {
		ok, err := done(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil { // else it says no more than that
			last = err
		}
		if errors.Is(err, cri.ErrNotOffered) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if !wait.Pause(ctx, s.clock, pause) {
			return fmt.Errorf("waiting for %s: %w", what, cmp.Or(last, context.Cause(ctx)))
		}
	}
}

// room tells why the disk cannot take what these images add to it.
func (s *Store) room(ctx context.Context, bundles []bundle) error {
	var n need
	counted := map[string]bool{}
	missing := func(name string, there func() (bool, error)) (bool, error) {
		if counted[name] {
			return false, nil
		}
		counted[name] = true
		is, err := there()
		return !is, err
	}
	for _, b := range bundles {
		for _, part := range append(b.layers[:len(b.layers):len(b.layers)], b.config, b.manifest) {
			is, err := missing(part.Digest.String(), func() (bool, error) { return s.has(ctx, part, nil) })
			if err != nil {
				return err
			}
			if is {
				n.bytes, n.files = n.bytes+part.Size, n.files+1
			}
		}
		for i, layer := range b.layers {
			name := b.chain(i + 1)
			is, err := missing("chain "+name, func() (bool, error) { return s.unpacked(ctx, name) })
			if err != nil {
				return err
			}
			if is {
				n.bytes, n.files = n.bytes+layer.need.bytes, n.files+layer.need.files
			}
		}
	}
	return s.disk.room(n)
}

// has tells whether a blob is there, with these labels.
func (s *Store) has(ctx context.Context, b blob, labels map[string]string) (bool, error) {
	got, err := s.content().Info(ctx, &contentapi.InfoRequest{Digest: b.Digest.String()})
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for blob %s: %w", b.Digest, err)
	}
	for key, value := range labels {
		if got.GetInfo().GetLabels()[key] != value {
			return false, nil
		}
	}
	return true, nil
}

// records are those of an image that CRI lists: one for each name, and the one that it
// keeps under the image's id.
func (b bundle) records() (all []*imagesapi.Image) {
	labels := map[string]string{labelManaged: managed, labelPinned: pinned}
	add := func(name string, labels map[string]string) {
		all = append(all, &imagesapi.Image{Name: name, Labels: labels, Target: descriptor(b.manifest.Descriptor)})
	}
	add(b.config.Digest.String(), labels)
	labels = maps.Clone(labels)
	labels[labelImported] = "true"
	for _, name := range b.names {
		add(name, labels)
	}
	return all
}

// name writes the image's records and waits until CRI has taken notice. On error all
// names are what they were before.
func (s *Store) name(ctx context.Context, b bundle) (err error) {
	var undo []func(context.Context) error
	defer func() {
		if err == nil {
			return
		}
		ctx, cancel := s.undoing(ctx)
		defer cancel()
		for i := len(undo) - 1; i >= 0; i-- {
			if back := undo[i](ctx); back != nil {
				err = fmt.Errorf("%w; putting the name back: %w", err, back)
			}
		}
	}()
	for _, record := range b.records() {
		before, err := s.record(ctx, record.GetName())
		if err != nil {
			return err
		}
		if err := s.keep(ctx, before); err != nil {
			return err
		}
		undo = append(undo, func(ctx context.Context) error { return s.restore(ctx, record.GetName(), before) })
		if err := s.point(ctx, record); err != nil {
			return err
		}
	}
	for _, name := range b.names {
		if err := s.awaitImage(ctx, name, b.config.Digest.String()); err != nil {
			return err
		}
	}
	return nil
}

// record returns the record of a name, nil when there is none.
func (s *Store) record(ctx context.Context, name string) (*imagesapi.Image, error) {
	got, err := s.images().Get(ctx, &imagesapi.GetImageRequest{Name: name})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking up image %s: %w", name, err)
	}
	return got.GetImage(), nil
}

// keep adds what a name stood for to the lease of ctx, so that it can be put back.
func (s *Store) keep(ctx context.Context, before *imagesapi.Image) error {
	sent, _ := metadata.FromOutgoingContext(ctx)
	if before == nil || len(sent[leaseHeader]) == 0 {
		return nil
	}
	_, err := leasesapi.NewLeasesClient(s.conn).AddResource(ctx, &leasesapi.AddResourceRequest{
		ID: sent[leaseHeader][0], Resource: &leasesapi.Resource{ID: before.GetTarget().GetDigest(), Type: "content"},
	})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("keeping the former image %s: %w", before.GetName(), err)
	}
	return nil
}

// point makes or moves a record.
func (s *Store) point(ctx context.Context, record *imagesapi.Image) error {
	_, err := s.images().Create(ctx, &imagesapi.CreateImageRequest{Image: record})
	if status.Code(err) == codes.AlreadyExists {
		_, err = s.images().Update(ctx, &imagesapi.UpdateImageRequest{
			Image: record, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"target", "labels"}},
		})
	}
	if err != nil {
		return fmt.Errorf("naming image %s: %w", record.GetName(), err)
	}
	return nil
}

// restore undoes point.
func (s *Store) restore(ctx context.Context, name string, before *imagesapi.Image) error {
	if before != nil {
		return s.point(ctx, before)
	}
	return s.forget(ctx, name)
}

// forget removes a record, and what nothing refers to any more.
func (s *Store) forget(ctx context.Context, name string) error {
	_, err := s.images().Delete(ctx, &imagesapi.DeleteImageRequest{Name: name, Sync: true})
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("removing image %s: %w", name, err)
	}
	return nil
}

// awaitImage returns once CRI answers for the name with the image's id. CRI hears of
// images that come past it by an event, some milliseconds later.
func (s *Store) awaitImage(ctx context.Context, name, id string) error {
	return s.until(ctx, retry, "the container runtime to see image "+name, func(ctx context.Context) (bool, error) {
		got, err := s.cri.ImageStatus(ctx, name)
		return err == nil && got != nil && got.ID == id, err
	})
}
