package images_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// member is a file of an archive.
type member struct {
	header  tar.Header
	content []byte
}

func tarball(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		m.header.Mode, m.header.Size = 0o755, int64(len(m.content))
		if err := w.WriteHeader(&m.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func plain(name string, content []byte) member { return member{tar.Header{Name: name}, content} }

// layerOf is a layer of one file.
func layerOf(t testing.TB, content string) []byte {
	t.Helper()
	return tarball(t, plain("file", []byte(content)))
}

func zipped(t testing.TB, content io.Reader) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstandard(t testing.TB, content io.Reader) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// packed is a layer as it is stored, and the digest of what it unpacks to.
type packed struct {
	bytes []byte
	diff  digest.Digest
}

func unpackedLayer(content []byte) packed { return packed{content, digest.FromBytes(content)} }

func imageConfig(t testing.TB, layers ...packed) []byte {
	t.Helper()
	c := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}
	c.RootFS.Type = "layers"
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.diff)
	}
	return marshal(t, c)
}

// dockerImage is one image of a docker archive.
type dockerImage struct {
	names  []string
	layers []packed
}

// dockerArchive writes a docker archive and returns its path.
func dockerArchive(t testing.TB, images ...dockerImage) string {
	t.Helper()
	var members []member
	var manifest []map[string]any
	for _, img := range images {
		conf := imageConfig(t, img.layers...)
		name := digest.FromBytes(conf).Encoded()
		members = append(members, plain(name+".json", conf))
		var layers []string
		for _, l := range img.layers {
			layers = append(layers, digest.FromBytes(l.bytes).Encoded()+".tar")
			members = append(members, plain(layers[len(layers)-1], l.bytes))
		}
		manifest = append(manifest, map[string]any{"Config": name + ".json", "RepoTags": img.names, "Layers": layers})
	}
	return save(t, tarball(t, append(members, plain("manifest.json", marshal(t, manifest)))...))
}

func save(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ociArchive writes an OCI layout of one image, whose annotations name is asked for
// when the manifest's digest is known, and returns its path.
func ociArchive(t testing.TB, mediaType string, layer packed, name func(digest.Digest) map[string]string) string {
	t.Helper()
	describe := func(mediaType string, raw []byte) (v1.Descriptor, member) {
		d := digest.FromBytes(raw)
		return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}, plain("blobs/sha256/"+d.Encoded(), raw)
	}
	layerD, layerM := describe(mediaType, layer.bytes)
	configD, configM := describe(v1.MediaTypeImageConfig, imageConfig(t, layer))
	manifestD, manifestM := describe(v1.MediaTypeImageManifest, marshal(t, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: configD, Layers: []v1.Descriptor{layerD},
	}))
	manifestD.Annotations = name(manifestD.Digest)
	index := marshal(t, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{manifestD}})
	return save(t, tarball(t, layerM, configM, manifestM, plain("index.json", index)))
}
