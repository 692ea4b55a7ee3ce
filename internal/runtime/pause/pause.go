// Package pause makes the image of the sandbox container: one static program of a
// few hundred bytes that holds a pod's namespaces open, reaps the zombies that it
// inherits as process 1, and ends on SIGTERM and SIGINT.
//
// It owns the program's machine code and its image as an archive. Importing the
// archive lives in runtime/images; naming it to the runtime in runtime/containerd.
package pause

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// Repository is the name of sandbox images. Nothing else may be imported under it.
const Repository = "laterna.dev/pause"

// Image is the sandbox image for one architecture.
type Image struct {
	// Ref names the image by the digest of its manifest, so that no other content can
	// ever have the name.
	Ref string
	// Archive is the image as a tar archive of an OCI layout, without compression.
	Archive []byte
}

// New makes the sandbox image for the architecture this program was built for.
func New() (Image, error) { return ForArch(runtime.GOARCH) }

// ForArch makes the sandbox image for a GOARCH: amd64 or arm64.
func ForArch(arch string) (Image, error) {
	program, err := Program(arch)
	if err != nil {
		return Image{}, err
	}
	layer, err := archive(file{"pause", 0o755, program})
	if err != nil {
		return Image{}, err
	}
	config, err := imageConfig(arch, layer)
	if err != nil {
		return Image{}, err
	}
	manifest, err := marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: describe(v1.MediaTypeImageConfig, config),
		Layers: []v1.Descriptor{describe(v1.MediaTypeImageLayer, layer)},
	})
	if err != nil {
		return Image{}, err
	}
	named := describe(v1.MediaTypeImageManifest, manifest)
	ref := Repository + "@" + named.Digest.String()
	named.Annotations = map[string]string{v1.AnnotationRefName: ref}
	index, err := marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{named},
	})
	if err != nil {
		return Image{}, err
	}
	layout, err := marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return Image{}, err
	}
	all, err := archive(
		file{v1.ImageLayoutFile, 0o644, layout}, file{v1.ImageIndexFile, 0o644, index},
		blob(manifest), blob(config), blob(layer),
	)
	return Image{Ref: ref, Archive: all}, err
}

func describe(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// blob is content under its place in an OCI layout.
func blob(content []byte) file {
	return file{"blobs/sha256/" + digest.FromBytes(content).Encoded(), 0o644, content}
}

func marshal(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing pause image: %w", err)
	}
	return raw, nil
}

// imageConfig is the OCI image configuration. The program needs no privilege, so it
// runs as a user that owns nothing.
func imageConfig(arch string, layer []byte) ([]byte, error) {
	return marshal(map[string]any{
		"architecture": arch,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC(),
		"config":       map[string]any{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromBytes(layer)}},
		"history":      []map[string]any{{"created": time.Unix(0, 0).UTC(), "created_by": "laterna"}},
	})
}

type file struct {
	name    string
	mode    int64
	content []byte
}

func archive(files ...file) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("writing pause image: %w", err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("writing pause image: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing pause image: %w", err)
	}
	return buf.Bytes(), nil
}
