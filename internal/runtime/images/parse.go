package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

var errNoPlatform = fmt.Errorf("no image for linux/%s in the index", runtime.GOARCH)

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
	// digests are all by which the image may be named: its manifest's, and those of the
	// indexes that lead to it.
	digests []digest.Digest
}

// blob is content together with where it comes from.
type blob struct {
	v1.Descriptor
	member string // in the archive, or
	data   []byte
	// need is what a layer takes when it is unpacked.
	need need
}

// document is a manifest or an index; which one it is shows by its members.
type document struct {
	v1.Manifest
	Manifests []v1.Descriptor `json:"manifests"`
}

// parse reads what images an archive holds: manifest.json of docker archives where
// there is one (tools that write both kinds put the names there), else index.json.
// All of their layers were read when it returns, and are as the archive says.
func parse(s *source) ([]bundle, error) {
	var docker []dockerEntry
	if _, err := s.document("manifest.json", &docker); err == nil {
		return parseDocker(s, docker)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var index v1.Index
	if _, err := s.document("index.json", &index); errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("neither manifest.json (docker archive) nor index.json (OCI layout) is in it; is it made by docker save, podman save or an OCI tool?")
	} else if err != nil {
		return nil, err
	}
	return parseOCI(s, index)
}

// dockerEntry is one image of manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// parseDocker reads what manifest.json lists. The archive has no registry manifest, so
// one is made from the configuration and the layers as they are.
func parseDocker(s *source, entries []dockerEntry) ([]bundle, error) {
	if len(entries) > imageLimit {
		return nil, fmt.Errorf("it has %d images, the limit is %d", len(entries), imageLimit)
	}
	var all []bundle
	for _, e := range entries {
		if s.names += len(e.RepoTags); s.names > nameLimit {
			return nil, fmt.Errorf("it has more than %d names, the limit", nameLimit)
		}
		b, err := dockerBundle(s, e.Config, e.Layers)
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

func dockerBundle(s *source, config string, layers []string) (bundle, error) {
	var b bundle
	if err := fewLayers(len(layers)); err != nil {
		return b, err
	}
	raw, err := s.small(config)
	if err != nil {
		return b, fmt.Errorf("reading configuration: %w", err)
	}
	b.config = dataBlob(v1.MediaTypeImageConfig, raw)
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: b.config.Descriptor, Layers: []v1.Descriptor{},
	}
	var found []layer
	for _, name := range layers {
		l, err := s.layer(name, "")
		if err != nil {
			return b, fmt.Errorf("reading layer: %w", err)
		}
		found = append(found, l)
		d := v1.Descriptor{MediaType: l.mediaType, Digest: l.digest, Size: l.size}
		b.layers = append(b.layers, blob{Descriptor: d, member: name, need: need{l.unpacked, int64(l.entries)}})
		manifest.Layers = append(manifest.Layers, d)
	}
	if raw, err = json.Marshal(manifest); err != nil {
		return b, fmt.Errorf("writing manifest: %w", err)
	}
	b.manifest = dataBlob(v1.MediaTypeImageManifest, raw)
	b.digests = []digest.Digest{b.manifest.Digest}
	return b, b.readConfig(found)
}

func fewLayers(n int) error {
	if n > layerLimit {
		return fmt.Errorf("it has %d layers, the limit is %d", n, layerLimit)
	}
	return nil
}

func dataBlob(mediaType string, data []byte) blob {
	return blob{Descriptor: v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data: data}
}

// parseOCI reads index.json, with nested indexes, and picks what runs here.
func parseOCI(s *source, index v1.Index) ([]bundle, error) {
	if len(index.Manifests) > imageLimit {
		return nil, fmt.Errorf("it has %d images, the limit is %d", len(index.Manifests), imageLimit)
	}
	var all []bundle
	for _, d := range index.Manifests {
		if !runsHere(d.Platform) {
			continue
		}
		b, err := ociBundle(s, d, indexDepth)
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

func ociBundle(s *source, d v1.Descriptor, depth int) (bundle, error) {
	raw, err := ociBlob(s, d)
	if err != nil {
		return bundle{}, err
	}
	var doc document
	if err := decode("manifest "+d.Digest.String(), raw, &doc); err != nil {
		return bundle{}, err
	}
	for _, m := range doc.Manifests {
		if !runsHere(m.Platform) {
			continue
		}
		if depth == 1 {
			return bundle{}, fmt.Errorf("it has indexes within indexes, %d deep is the limit", indexDepth)
		}
		b, err := ociBundle(s, m, depth-1)
		b.digests = append(b.digests, d.Digest)
		return b, err
	}
	if len(doc.Manifests) > 0 {
		return bundle{}, errNoPlatform
	}
	if err := fewLayers(len(doc.Layers)); err != nil {
		return bundle{}, err
	}
	b := bundle{manifest: blob{Descriptor: d, data: raw}, digests: []digest.Digest{d.Digest}}
	b.manifest.Size = int64(len(raw))
	if raw, err = ociBlob(s, doc.Config); err != nil {
		return b, err
	}
	b.config = blob{Descriptor: doc.Config, data: raw}
	b.config.Size = int64(len(raw))
	found, err := b.ociLayers(s, doc.Layers)
	if err != nil {
		return b, err
	}
	return b, b.readConfig(found)
}

// ociLayers reads the layers of a manifest, which must be what it says they are.
func (b *bundle) ociLayers(s *source, layers []v1.Descriptor) (found []layer, err error) {
	for i, d := range layers {
		member, err := blobMember(d.Digest)
		if err != nil {
			return nil, err
		}
		l, err := s.layer(member, d.MediaType)
		if err != nil {
			return nil, fmt.Errorf("reading layer: %w", err)
		}
		if l.digest != d.Digest || l.size != d.Size {
			return nil, fmt.Errorf("layer %d has digest %s and %d bytes, the manifest says %s and %d: the archive is damaged", i+1, l.digest, l.size, d.Digest, d.Size)
		}
		found = append(found, l)
		b.layers = append(b.layers, blob{Descriptor: d, member: member, need: need{l.unpacked, int64(l.entries)}})
	}
	return found, nil
}

func blobMember(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return "", fmt.Errorf("digest %q: only sha256 is supported", d)
	}
	return path.Join("blobs", d.Algorithm().String(), d.Encoded()), nil
}

// ociBlob reads a small blob and checks its digest.
func ociBlob(s *source, d v1.Descriptor) ([]byte, error) {
	name, err := blobMember(d.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := s.small(name)
	if err != nil {
		return nil, fmt.Errorf("reading blob: %w", err)
	}
	if found := digest.FromBytes(raw); found != d.Digest {
		return nil, fmt.Errorf("blob %s has digest %s: the archive is damaged", d.Digest, found)
	}
	return raw, nil
}

// readConfig checks that the configuration fits this machine and what was found in the
// layers.
func (b *bundle) readConfig(found []layer) error {
	var config v1.Image
	if err := decode("configuration", b.config.data, &config); err != nil {
		return err
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH {
		return fmt.Errorf("the image is for %s/%s, this machine is linux/%s", config.OS, config.Architecture, runtime.GOARCH)
	}
	if len(config.RootFS.DiffIDs) != len(found) {
		return fmt.Errorf("the configuration has %d layers, the manifest %d", len(config.RootFS.DiffIDs), len(found))
	}
	b.diffs = config.RootFS.DiffIDs
	for i, l := range found {
		if l.diff != b.diffs[i] {
			return fmt.Errorf("the content of layer %d has digest %s, the configuration says %s: the archive is damaged", i+1, l.diff, b.diffs[i])
		}
	}
	return nil
}
