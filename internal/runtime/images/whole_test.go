package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/images"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// zeros is a layer of one file of so many zeros.
func zeros(t testing.TB, size int64) io.Reader {
	t.Helper()
	var header bytes.Buffer
	w := tar.NewWriter(&header)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(&header, io.LimitReader(nothing{}, size+1024))
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// sparseLayer is a layer of two blocks whose file says that it is so large.
func sparseLayer(t testing.TB, size int64) []byte {
	t.Helper()
	raw := tarball(t, member{tar.Header{Name: "sparse", Format: tar.FormatPAX, PAXRecords: map[string]string{
		"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "huge", "GNU_sparse_realsize": fmt.Sprint(size),
	}}, append([]byte("1\n0\n0\n"), make([]byte, 512-6)...)})
	// archive/tar writes no sparse files; the records have the same length.
	return bytes.ReplaceAll(raw, []byte("GNU_sparse_"), []byte("GNU.sparse."))
}

// bombs are archives that unpack to much more than they are, or than 16 MiB.
func bombs(t *testing.T) map[string]string {
	const size = 24 << 20
	sum := func(r io.Reader) digest.Digest {
		d, err := digest.SHA256.FromReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	diff := sum(zeros(t, size))
	oci := func(mediaType string, l packed) string {
		return ociArchive(t, mediaType, l, func(digest.Digest) map[string]string {
			return map[string]string{"org.opencontainers.image.ref.name": "bomb:1"}
		})
	}
	docker := func(layers ...packed) string { return dockerArchive(t, dockerImage{[]string{"bomb:1"}, layers}) }
	gz, zst := packed{zipped(t, zeros(t, size)), diff}, packed{zstandard(t, zeros(t, size)), diff}
	all := map[string]string{
		"gzip":                    docker(gz),
		"zstd":                    docker(zst),
		"gzip, OCI":               oci(v1.MediaTypeImageLayerGzip, gz),
		"zstd, OCI":               oci(v1.MediaTypeImageLayerZstd, zst),
		"another compression":     oci("application/vnd.docker.image.rootfs.diff.tar", gz),
		"a sparse file":           docker(unpackedLayer(sparseLayer(t, 1<<40))),
		"a sparse file, zipped":   docker(packed{zipped(t, bytes.NewReader(sparseLayer(t, 1<<40))), digest.FromBytes(sparseLayer(t, 1<<40))}),
		"bytes behind the layer":  docker(packed{zipped(t, io.MultiReader(bytes.NewReader(layerOf(t, "a")), io.LimitReader(nothing{}, size))), digest.FromString("?")}),
		"many small layers":       docker(manySmall(t)...),
		"the archive itself":      save(t, zipped(t, bytes.NewReader(read(t, docker(packed{tarZeros(t, size), diff}))))),
		"the archive and a layer": save(t, zipped(t, bytes.NewReader(read(t, docker(gz))))),
	}
	return all
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func tarZeros(t testing.TB, size int64) []byte {
	t.Helper()
	raw, err := io.ReadAll(zeros(t, size))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// manySmall are layers that are too large only together.
func manySmall(t testing.TB) (all []packed) {
	for i := range 20 {
		raw := layerOf(t, fmt.Sprint(i)+strings.Repeat("x", 1<<20))
		all = append(all, packed{zipped(t, bytes.NewReader(raw)), digest.FromBytes(raw)})
	}
	return all
}

// limited is a store that unpacks 16 MiB at most.
func limited(t *testing.T, m *runtimetest.Machine) *images.Store {
	t.Helper()
	store, err := images.Open(images.Config{
		Socket: m.Info.Socket, Root: m.Dir.Containerd(), MaxSize: 16 << 20, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestABombIsRefusedBeforeItIsUnpacked(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	store := limited(t, m)
	before := stored(t, m)
	for name, path := range bombs(t) {
		if got, err := store.ImportFile(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "more than 16Mi") || !strings.Contains(err.Error(), "--max-size") {
			t.Errorf("%s: imported %+v, %v", name, got, err)
		}
	}
	if after := stored(t, m); !slices.Equal(before, after) {
		t.Errorf("stored before: %q\nafter: %q", before, after)
	}
	// The limit is not below what it says: these are 15 MiB in compressed layers.
	small := manySmall(t)[14]
	small.bytes = zstandard(t, bytes.NewReader(layerOf(t, "14"+strings.Repeat("x", 1<<20))))
	for name, path := range map[string]string{
		"gzip": dockerArchive(t, dockerImage{[]string{"fits:1"}, manySmall(t)[:14]}),
		"zstd": ociArchive(t, v1.MediaTypeImageLayerZstd, small, func(digest.Digest) map[string]string {
			return map[string]string{"org.opencontainers.image.ref.name": "fits:2"}
		}),
		"zstd, docker": dockerArchive(t, dockerImage{[]string{"fits:3"}, []packed{small}}),
	} {
		if _, err := store.ImportFile(t.Context(), path, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFullDiskTakesNoImageButTheSandboxs(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	full := t.TempDir()
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(full, unix.MNT_DETACH) })
	if err := os.WriteFile(full+"/f", make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := images.Open(images.Config{Socket: m.Info.Socket, Root: full, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	path := dockerArchive(t, dockerImage{[]string{"new:1"}, []packed{unpackedLayer(layerOf(t, "a"))}})
	before := stored(t, m)
	if _, err := store.ImportFile(t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "are needed and 0 are free") {
		t.Errorf("error %v", err)
	}
	if after := stored(t, m); !slices.Equal(before, after) {
		t.Errorf("stored before: %q\nafter: %q", before, after)
	}
	c := dialed(t, m)
	for _, name := range c.names() {
		if strings.HasPrefix(name, "laterna.dev/pause") {
			c.unname(name)
		}
	}
	if _, err := store.EnsurePause(t.Context()); err != nil {
		t.Error(err)
	}
	// What is there already takes nothing.
	if _, err := store.ImportFile(t.Context(), runtimetest.Archive(t, "busybox:test"), ""); err != nil {
		t.Error(err)
	}
}

func TestAnImportThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	good := packed{zipped(t, bytes.NewReader(layerOf(t, "good"))), digest.FromBytes(layerOf(t, "good"))}
	bad := good
	bad.diff = digest.FromString("something else")
	busy := dockerImage{[]string{"busybox:test"}, []packed{good}}
	first := dockerArchive(t, busy, dockerImage{[]string{"second:1"}, []packed{bad}})
	before := stored(t, m)
	if _, err := m.Images.ImportFile(t.Context(), first, ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged second image: %v", err)
	}
	whole := dockerArchive(t, busy, dockerImage{[]string{"a:1", "b:1"}, []packed{unpackedLayer(layerOf(t, strings.Repeat("x", 3<<20)))}})
	for what, refused := range map[string]struct {
		method string
		from   int32
	}{
		"no second upload":   {"/containerd.services.content.v1.Content/Write", 2},
		"no unpacking":       {"/containerd.services.diff.v1.Diff/Apply", 2},
		"no snapshot":        {"/containerd.services.snapshots.v1.Snapshots/Commit", 1},
		"no name":            {"/containerd.services.images.v1.Images/Create", 1},
		"no second name":     {"/containerd.services.images.v1.Images/Create", 2},
		"not seen by anyone": {"/runtime.v1.ImageService/ImageStatus", 1},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int32
		store := proxied(t, m, func(method string) error {
			if method != refused.method || calls.Add(1) < refused.from {
				return nil
			}
			if calls.Load() > refused.from+5 { // it is asked again
				cancel()
			}
			return status.Error(codes.Internal, "refused on purpose")
		})
		_, err := store.ImportFile(ctx, whole, "")
		cancel()
		if err == nil || !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("%s: %v", what, err)
		}
		if after := stored(t, m); !slices.Equal(before, after) {
			t.Errorf("%s: stored before: %q\nafter: %q", what, before, after)
		}
	}
	m.Run(t, "still", true, "sleep", "1000") // CRI knows the name as it was
	if _, err := m.Images.ImportFile(t.Context(), whole, ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAnImportWaitsForTheRuntimeToStart(t *testing.T) {
	t.Parallel()
	m := runtimetest.Start(t, runtimetest.Dir(t))
	var asked, written atomic.Int32
	store := proxied(t, m, func(method string) error {
		if strings.HasPrefix(method, "/runtime.v1.") && asked.Add(1) <= 20 {
			return status.Error(codes.Unknown, "server is not initialized yet")
		}
		if asked.Load() <= 20 && !strings.HasPrefix(method, "/runtime.v1.") {
			written.Add(1)
		}
		return nil
	})
	path := dockerArchive(t, dockerImage{[]string{"early:1"}, []packed{unpackedLayer(layerOf(t, "a"))}})
	if _, err := store.ImportFile(t.Context(), path, ""); err != nil {
		t.Error(err)
	}
	if asked.Load() <= 20 || written.Load() > 0 {
		t.Errorf("%d calls of CRI, %d of containerd before it was ready", asked.Load(), written.Load())
	}
	never := proxied(t, m, func(method string) error {
		if strings.HasPrefix(method, "/runtime.v1.") {
			return status.Error(codes.Unknown, "server is not initialized yet")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	before := stored(t, m)
	if _, err := never.ImportFile(ctx, dockerArchive(t, dockerImage{[]string{"never:1"}, nil}), ""); err == nil || !strings.Contains(err.Error(), "waiting for the container runtime to answer") {
		t.Errorf("a runtime that never starts: %v", err)
	}
	if after := stored(t, m); !slices.Equal(before, after) {
		t.Errorf("stored before: %q\nafter: %q", before, after)
	}
}

func TestAnImportBesideAStartOfTheDaemon(t *testing.T) {
	t.Parallel()
	dir := runtimetest.Dir(t)
	m := runtimetest.Start(t, dir)
	path := dockerArchive(t, dockerImage{[]string{"early:1"}, []packed{unpackedLayer(layerOf(t, "a"))}})
	for range 3 {
		if err := m.Daemon.Stop(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := containerd.New(runtimetest.Config(t, dir)).Start(t.Context())
			done <- err
		}()
		_, err := m.Images.ImportFile(t.Context(), path, "")
		if err := errors.Join(err, <-done); err != nil {
			t.Fatal(err)
		}
	}
}
