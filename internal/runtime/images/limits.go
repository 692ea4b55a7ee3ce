package images

import (
	"encoding/json"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/resource"
)

// DefaultMaxSize is how many bytes the images of one archive may unpack to, unless the
// configuration says otherwise.
const DefaultMaxSize = 10 << 30

// What an archive may hold beside the bytes of its layers. Each bound is far above
// what images in use have, and is looked at before the work that it bounds.
const (
	// configLimit bounds a JSON file of an image (the OCI's recommended limit of
	// manifests), documentLimit all of an archive, which are held in memory together.
	configLimit   = 4 << 20
	documentLimit = 64 << 20
	// valueLimit bounds the values in a JSON file: decoded, a short one takes a hundred
	// times its bytes.
	valueLimit = 100_000
	// layerLimit is what the kernel stacks (OVL_MAX_STACK).
	layerLimit = 500
	imageLimit = 1000
	nameLimit  = 1000
	// indexDepth bounds indexes within indexes.
	indexDepth = 4
	// memberLimit and memberNames bound the archive's own directory: members, and bytes
	// of their names.
	memberLimit = 100_000
	memberNames = 16 << 20
	// entryLimit bounds the files of all layers of an archive, pathLimit a path in them.
	entryLimit = 2_000_000
	pathLimit  = 4096
	// windowLimit is the largest zstd window: that of the strongest level of its tool.
	windowLimit = 128 << 20
)

// errTooLarge says that layers hold more than may be unpacked.
func errTooLarge(limit int64) error {
	return fmt.Errorf("it unpacks to more than %s; if that is meant, raise the limit with --max-size", quantity(limit))
}

// quantity prints a size as Kubernetes does.
func quantity(n int64) string { return resource.NewQuantity(n, resource.BinarySI).String() }

// source is an archive that is being read. What was read counts against its limits.
type source struct {
	files
	max       int64 // bytes that it may unpack to
	unpacked  int64
	entries   int
	documents int64
	names     int
	layers    map[layerKey]layer
}

func newSource(f files, maxSize int64) *source {
	return &source{files: f, max: maxSize, layers: map[layerKey]layer{}}
}

// document returns a JSON member and decodes it into value.
func (s *source) document(name string, value any) ([]byte, error) {
	raw, err := s.small(name)
	if err != nil {
		return nil, err
	}
	return raw, decode(name, raw, value)
}

// small returns a member of at most configLimit bytes.
func (s *source) small(name string) ([]byte, error) {
	r, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > configLimit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", name, size, configLimit)
	}
	if s.documents += size; s.documents > documentLimit {
		return nil, fmt.Errorf("its manifests and configurations have more than %d bytes, the limit", documentLimit)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return raw, nil
}

// decode reads a JSON document, which it counts first.
func decode(name string, raw []byte, value any) error {
	if n := values(raw); n > valueLimit {
		return fmt.Errorf("reading %s: it has more than %d values, the limit", name, valueLimit)
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// values is at least the number of values in a JSON document: of what opens one and of
// what parts two.
func values(raw []byte) (n int) {
	quoted := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}
