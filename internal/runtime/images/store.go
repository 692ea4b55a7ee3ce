package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/pause"
)

const (
	// labelImported marks image records that were imported here.
	labelImported = "laterna.dev/imported"
	// labelManaged makes CRI list an image record; labelPinned keeps it from CRI's
	// clean-up.
	labelManaged, managed = "io.cri-containerd.image", "managed"
	labelPinned, pinned   = "io.cri-containerd.pinned", "pinned"

	snapshotter = "overlayfs"
)

// ErrNotFound says that no image has the name.
var ErrNotFound = errors.New("no such image")

// Image is one named image.
type Image struct {
	// Name is the full name, such as docker.io/library/busybox:1.28.
	Name string
	// Digest is that of the manifest.
	Digest string
	// ID is the digest of the configuration, which CRI calls image id. It is empty, and
	// Size is 0, when the manifest is missing.
	ID string
	// Size is what manifest, configuration and layers take in bytes, as stored.
	Size int64
	// Imported says that the image came from an archive.
	Imported bool
}

// Config of a store. All fields but MaxSize are required.
type Config struct {
	// Socket is containerd's, which need not exist yet.
	Socket string
	// Root is the directory in which containerd keeps images and layers: its file system
	// must have room for what is imported.
	Root string
	// MaxSize is how many bytes the images of one archive may unpack to; zero is
	// DefaultMaxSize.
	MaxSize int64
	// Progress, if set, is told how far an import is.
	Progress func(Progress)
	// Clock must run with real time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Store speaks to the containerd that listens on a socket. Its methods may be called
// concurrently.
type Store struct {
	conn  *grpc.ClientConn
	cri   *cri.Client
	disk  disk
	max   int64
	clock clock.Wall
	log   *slog.Logger
	told  func(Progress)
}

// Open returns a store.
func Open(cfg Config) (*Store, error) {
	conn, err := containerd.Dial(cfg.Socket)
	if err != nil {
		return nil, fmt.Errorf("opening image store: %w", err)
	}
	runtime, err := cri.Dial(cfg.Socket)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening image store: %w", err)
	}
	return &Store{
		conn: conn, cri: runtime, disk: disk{cfg.Root}, max: cmp.Or(cfg.MaxSize, DefaultMaxSize), clock: cfg.Clock, log: cfg.Log, told: cfg.Progress,
	}, nil
}

// Close ends the connection.
func (s *Store) Close() error { return errors.Join(s.conn.Close(), s.cri.Close()) }

// scope adds containerd's namespace to the calls made with ctx.
func scope(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", containerd.Namespace)
}

func (s *Store) images() imagesapi.ImagesClient    { return imagesapi.NewImagesClient(s.conn) }
func (s *Store) content() contentapi.ContentClient { return contentapi.NewContentClient(s.conn) }

// Imported reports whether the image that a pod names was imported. An imported image
// counts as pulled under every pull policy, until Remove.
func (s *Store) Imported(ctx context.Context, ref string) (bool, error) {
	name, err := Normalize(ref)
	if err != nil {
		return false, err
	}
	got, err := s.images().Get(scope(ctx), &imagesapi.GetImageRequest{Name: name})
	if status.Code(err) == codes.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking up image %s: %w", name, err)
	}
	return got.GetImage().GetLabels()[labelImported] == "true", nil
}

// List returns all named images, sorted by name.
func (s *Store) List(ctx context.Context) ([]Image, error) {
	ctx = scope(ctx)
	list, err := s.images().List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	var all []Image
	for _, record := range list.GetImages() {
		if byID(record.GetName()) {
			continue
		}
		img, err := s.describe(ctx, record)
		if err != nil { // listed all the same, so that it can be removed
			s.log.Warn("image is incomplete", "image", img.Name, "error", err)
		}
		all = append(all, img)
	}
	slices.SortFunc(all, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// byID tells the records that CRI keeps under image ids from those with names.
func byID(name string) bool { return strings.HasPrefix(name, "sha256:") }

func (s *Store) describe(ctx context.Context, record *imagesapi.Image) (Image, error) {
	target := record.GetTarget()
	img := Image{
		Name: record.GetName(), Digest: target.GetDigest(),
		Imported: record.GetLabels()[labelImported] == "true",
	}
	raw, err := s.read(ctx, target.GetDigest())
	if err != nil {
		return img, err
	}
	manifest, err := s.manifestOf(ctx, raw)
	if err != nil {
		return img, err
	}
	img.ID = manifest.Config.Digest.String()
	img.Size = target.GetSize() + manifest.Config.Size
	for _, layer := range manifest.Layers {
		img.Size += layer.Size
	}
	return img, nil
}

// manifestOf reads a manifest, or the manifest for this machine that an index names
// (pulled images keep their index).
func (s *Store) manifestOf(ctx context.Context, raw []byte) (v1.Manifest, error) {
	var doc document
	if err := decode("manifest", raw, &doc); err != nil {
		return v1.Manifest{}, err
	}
	if len(doc.Manifests) == 0 {
		return doc.Manifest, nil
	}
	for _, m := range doc.Manifests {
		if !runsHere(m.Platform) {
			continue
		}
		raw, err := s.read(ctx, m.Digest.String())
		if err != nil {
			return v1.Manifest{}, err
		}
		var manifest v1.Manifest
		return manifest, decode("manifest", raw, &manifest)
	}
	return v1.Manifest{}, errNoPlatform
}

// read returns a blob of at most configLimit bytes.
func (s *Store) read(ctx context.Context, digest string) ([]byte, error) {
	stream, err := s.content().Read(ctx, &contentapi.ReadContentRequest{Digest: digest, Size: configLimit})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", digest, err)
	}
	var all []byte
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", digest, err)
		}
		all = append(all, part.GetData()...)
	}
}

// Remove takes the name away; what no other name and no container uses is deleted.
// The error is ErrNotFound (wrapped) when there is no such name. The sandbox image
// cannot be removed, since no pod could start.
func (s *Store) Remove(ctx context.Context, ref string) error {
	name, err := Normalize(ref)
	if err != nil {
		return err
	}
	sandbox, err := pause.New()
	if err != nil {
		return err
	}
	if name == sandbox.Ref {
		return fmt.Errorf("%s is the sandbox image, which every pod needs", name)
	}
	before, err := s.List(ctx)
	if err != nil {
		return err
	}
	ctx = scope(ctx)
	at := slices.IndexFunc(before, func(i Image) bool { return i.Name == name })
	if at < 0 {
		return fmt.Errorf("%s: %w (see laterna image ls)", Familiar(name), ErrNotFound)
	}
	doomed := []string{name}
	others := func(i Image) bool { return i.Name != name && i.ID == before[at].ID }
	if before[at].ID != "" && !slices.ContainsFunc(before, others) {
		doomed = append(doomed, before[at].ID)
	}
	for _, record := range doomed {
		if err := s.forget(ctx, record); err != nil {
			return err
		}
	}
	return nil
}
