package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

	errNoPlatform = fmt.Errorf("no image for linux/%s in the index", runtime.GOARCH)
)

// Annotations by which tools write a full name into an OCI index.
const (
	annotationContainerd = "io.containerd.image.name"
	annotationRef        = v1.AnnotationRefName
)

// bundle is one image of an archive, ready to be written.
type bundle struct {
	names    []string // full names
	manifest blob
	config   blob
	layers   []blob
	// diffs are the digests of the layers without compression.
	diffs []digest.Digest
}

// blob is content together with where it comes from.
type blob struct {
	v1.Descriptor
	member string // in the archive, or
	data   []byte
}

// document is a manifest or an index; which one it is shows by its members.
type document struct {
	v1.Manifest
	Manifests []v1.Descriptor `json:"manifests"`
}

// parse reads what images an archive holds: manifest.json of docker archives where
// there is one (tools that write both kinds put the names there), else index.json.
func parse(f files) ([]bundle, error) {
	raw, err := readSmall(f, "manifest.json")
	if err == nil {
		return parseDocker(f, raw)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	raw, err = readSmall(f, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("neither manifest.json (docker archive) nor index.json (OCI layout) is in it; is it made by docker save, podman save or an OCI tool?")
	}
	if err != nil {
		return nil, err
	}
	return parseOCI(f, raw)
}

// parseDocker reads manifest.json. The archive has no registry manifest, so one is
// made from the configuration and the layers as they are.
func parseDocker(f files, raw []byte) ([]bundle, error) {
	var entries []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("reading manifest.json: %w", err)
	}
	var all []bundle
	for _, e := range entries {
		b, err := dockerBundle(f, e.Config, e.Layers)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", strings.Join(e.RepoTags, ", "), err)
		}
		for _, tag := range e.RepoTags {
			name, err := Normalize(tag)
			if err != nil {
				return nil, err
			}
			b.names = append(b.names, name)
		}
		all = append(all, b)
	}
	return all, nil
}

func dockerBundle(f files, config string, layers []string) (bundle, error) {
	var b bundle
	raw, err := readSmall(f, config)
	if err != nil {
		return b, fmt.Errorf("reading configuration: %w", err)
	}
	b.config = dataBlob(v1.MediaTypeImageConfig, raw)
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: b.config.Descriptor, Layers: []v1.Descriptor{},
	}
	for _, name := range layers {
		layer, err := layerBlob(f, name)
		if err != nil {
			return b, fmt.Errorf("reading layer: %w", err)
		}
		b.layers = append(b.layers, layer)
		manifest.Layers = append(manifest.Layers, layer.Descriptor)
	}
	if raw, err = json.Marshal(manifest); err != nil {
		return b, fmt.Errorf("writing manifest: %w", err)
	}
	b.manifest = dataBlob(v1.MediaTypeImageManifest, raw)
	return b, b.readConfig()
}

func dataBlob(mediaType string, data []byte) blob {
	return blob{Descriptor: v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data: data}
}

// layerBlob describes a layer by its content.
func layerBlob(f files, name string) (blob, error) {
	r, size, err := f.open(name)
	if err != nil {
		return blob{}, err
	}
	defer r.Close()
	magic := make([]byte, len(zstdMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return blob{}, fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.New()
	sum.Write(magic)
	if _, err := io.Copy(sum, r); err != nil {
		return blob{}, fmt.Errorf("%s: %w", name, err)
	}
	mediaType := v1.MediaTypeImageLayer
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		mediaType = v1.MediaTypeImageLayerGzip
	case bytes.Equal(magic, zstdMagic):
		mediaType = v1.MediaTypeImageLayerZstd
	}
	return blob{member: name, Descriptor: v1.Descriptor{
		MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, sum), Size: size,
	}}, nil
}

// parseOCI reads index.json, with nested indexes, and picks what runs here.
func parseOCI(f files, raw []byte) ([]bundle, error) {
	var index v1.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("reading index.json: %w", err)
	}
	var all []bundle
	for _, d := range index.Manifests {
		if !runsHere(d.Platform) {
			continue
		}
		b, err := ociBundle(f, d)
		if err != nil {
			return nil, err
		}
		if name := annotatedName(d.Annotations); name != "" {
			b.names = append(b.names, name)
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, errNoPlatform
	}
	return all, nil
}

// annotatedName is the full name that an index gives a manifest. A bare tag, which
// the specification allows too, is not a name.
func annotatedName(annotations map[string]string) string {
	for _, key := range []string{annotationContainerd, annotationRef} {
		value := annotations[key]
		if !strings.ContainsAny(value, ":/") {
			continue
		}
		if name, err := Normalize(value); err == nil {
			return name
		}
	}
	return ""
}

// runsHere reports whether an index entry is for this machine; one that names no
// platform may be.
func runsHere(p *v1.Platform) bool {
	return p == nil || p.OS == "linux" && p.Architecture == runtime.GOARCH
}

func ociBundle(f files, d v1.Descriptor) (bundle, error) {
	raw, err := ociBlob(f, d)
	if err != nil {
		return bundle{}, err
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return bundle{}, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	for _, m := range doc.Manifests {
		if runsHere(m.Platform) {
			return ociBundle(f, m)
		}
	}
	if len(doc.Manifests) > 0 {
		return bundle{}, errNoPlatform
	}
	b := bundle{manifest: blob{Descriptor: d, data: raw}}
	if raw, err = ociBlob(f, doc.Config); err != nil {
		return b, err
	}
	b.config = blob{Descriptor: doc.Config, data: raw}
	for _, layer := range doc.Layers {
		name, err := blobMember(layer.Digest)
		if err != nil {
			return b, err
		}
		b.layers = append(b.layers, blob{Descriptor: layer, member: name})
	}
	return b, b.readConfig()
}

func blobMember(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w", d, err)
	}
	return path.Join("blobs", d.Algorithm().String(), d.Encoded()), nil
}

// ociBlob reads a small blob and checks its digest.
func ociBlob(f files, d v1.Descriptor) ([]byte, error) {
	name, err := blobMember(d.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := readSmall(f, name)
	if err != nil {
		return nil, fmt.Errorf("reading blob: %w", err)
	}
	if found := d.Digest.Algorithm().FromBytes(raw); found != d.Digest {
		return nil, fmt.Errorf("blob %s has digest %s: the archive is damaged", d.Digest, found)
	}
	return raw, nil
}

// readConfig checks that the configuration fits the layers and this machine.
func (b *bundle) readConfig() error {
	var config v1.Image
	if err := json.Unmarshal(b.config.data, &config); err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH {
		return fmt.Errorf("the image is for %s/%s, this machine is linux/%s", config.OS, config.Architecture, runtime.GOARCH)
	}
	if len(config.RootFS.DiffIDs) != len(b.layers) {
		return fmt.Errorf("the configuration has %d layers, the manifest %d", len(config.RootFS.DiffIDs), len(b.layers))
	}
	b.diffs = config.RootFS.DiffIDs
	for i, layer := range b.layers {
		// Compressed layers are checked when they are unpacked.
		if layer.MediaType == v1.MediaTypeImageLayer && layer.Digest != b.diffs[i] {
			return fmt.Errorf("layer %d has digest %s, the configuration says %s: the archive is damaged", i+1, layer.Digest, b.diffs[i])
		}
	}
	return nil
}
