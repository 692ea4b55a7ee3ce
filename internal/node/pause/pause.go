// Package pause makes the image of the sandbox container: one static program of a
// few hundred bytes that holds a pod's namespaces open, reaps the zombies that it
// inherits as process 1, and ends on SIGTERM and SIGINT.
//
// It owns the program's machine code and its image as an archive. Importing the
// archive lives in node/images; naming it to the runtime in node/containerd.
package pause

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

const repository = "laterna.dev/pause"

// Image is the sandbox image for one architecture.
type Image struct {
	// Ref names the image. Its tag is made of the content, so another program never
	// has the same name.
	Ref string
	// Archive is the image as `docker save` writes it, without compression.
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
	sum := sha256.Sum256(config)
	ref := repository + ":" + hex.EncodeToString(sum[:6])
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{ref}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return Image{}, fmt.Errorf("writing pause image's manifest: %w", err)
	}
	all, err := archive(file{"manifest.json", 0o644, manifest}, file{"config.json", 0o644, config}, file{"layer.tar", 0o644, layer})
	return Image{Ref: ref, Archive: all}, err
}

// imageConfig is the OCI image configuration. The program needs no privilege, so it
// runs as a user that owns nothing.
func imageConfig(arch string, layer []byte) ([]byte, error) {
	diff := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": arch,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC(),
		"config":       map[string]any{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(diff[:])}},
		"history":      []map[string]any{{"created": time.Unix(0, 0).UTC(), "created_by": "laterna"}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing pause image's configuration: %w", err)
	}
	return config, nil
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
