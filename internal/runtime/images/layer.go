package images

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	// skipMagic ends the four bytes of a zstd frame without content.
	skipMagic = []byte{0x2a, 0x4d, 0x18}
)

// blockSize is what a file takes at least: file systems round up.
const blockSize = 4096

// plainLayers are the types of layers whose bytes containerd takes as they are; it
// looks at the bytes of other layers to find how they are compressed.
var plainLayers = map[string]bool{
	v1.MediaTypeImageLayer: true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar": true,
}

// packedLayers are all others that it knows.
var packedLayers = map[string]bool{
	v1.MediaTypeImageLayerGzip:                                     true,
	v1.MediaTypeImageLayerZstd:                                     true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.diff.tar":                 true,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
}

// layerKey tells apart the ways to read a member.
type layerKey struct {
	member string
	plain  bool
}

// layer is what reading all of a layer has shown.
type layer struct {
	mediaType string
	digest    digest.Digest // as stored
	size      int64
	diff      digest.Digest // without compression
	// unpacked is what its files take, in bytes; entries is how many there are.
	unpacked int64
	entries  int
}

// layer reads a layer to its end, once for each archive: the digests of its bytes
// with and without compression, and what it would unpack to. It stops at the limits of
// the archive, so that nothing is written of one that is beyond them.
func (s *source) layer(member, mediaType string) (layer, error) {
	plain := plainLayers[mediaType]
	if mediaType != "" && !plain && !packedLayers[mediaType] {
		return layer{}, fmt.Errorf("layers of type %q are not known", mediaType)
	}
	key := layerKey{member, plain}
	if known, ok := s.layers[key]; ok {
		return known, nil
	}
	r, size, err := s.open(member)
	if err != nil {
		return layer{}, err
	}
	defer r.Close()
	if size > s.max {
		return layer{}, errTooLarge(s.max)
	}
	l, err := s.unpackedLayer(r, plain)
	if err != nil {
		return layer{}, fmt.Errorf("%s: %w", member, err)
	}
	if l.size != size {
		return layer{}, fmt.Errorf("%s has %d bytes instead of %d", member, l.size, size)
	}
	s.layers[key] = l
	return l, nil
}

func (s *source) unpackedLayer(r io.Reader, plain bool) (layer, error) {
	stored, diff := newSum(), newSum()
	raw := bufio.NewReader(io.TeeReader(r, stored))
	mediaType, content, err := decompress(raw, plain)
	if err != nil {
		return layer{}, err
	}
	defer content.Close()
	if mediaType == v1.MediaTypeImageLayer {
		diff = stored // the same bytes need no second sum
	} else {
		content = teed{io.TeeReader(content, diff), content}
	}
	// Two counts, since neither has it all: a sparse file is larger than its bytes, and
	// bytes between files are in no file.
	left, entries := s.max-s.unpacked, s.entries
	metered := &meter{r: content, left: left}
	size, err := s.walk(tar.NewReader(metered), left)
	if err == nil {
		_, err = io.Copy(io.Discard, metered) // what follows the end of the archive
	}
	if err == nil {
		_, err = io.Copy(io.Discard, raw)
	}
	if errors.Is(err, errMeter) {
		err = errTooLarge(s.max)
	}
	if err != nil {
		return layer{}, err
	}
	l := layer{
		mediaType: mediaType, digest: stored.digest(), size: stored.n, diff: diff.digest(),
		unpacked: max(size, diff.n), entries: s.entries - entries,
	}
	s.unpacked += l.unpacked
	return l, nil
}

// walk goes over the files of a layer and adds up what they take.
func (s *source) walk(r *tar.Reader, left int64) (size int64, err error) {
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return size, nil
		case errors.Is(err, errMeter):
			return 0, err
		case err != nil:
			return 0, fmt.Errorf("the layer is not a tar archive: %w", err)
		}
		if s.entries++; s.entries > entryLimit {
			return 0, fmt.Errorf("its layers have more than %d files, the limit", entryLimit)
		}
		if len(h.Name) > pathLimit || len(h.Linkname) > pathLimit {
			return 0, fmt.Errorf("a file's path has more than %d bytes, the limit", pathLimit)
		}
		if h.Size < 0 || h.Size > left-size {
			return 0, errMeter
		}
		size += (h.Size + blockSize - 1) / blockSize * blockSize
	}
}

// decompress opens a layer as containerd does, and names its type.
func decompress(raw *bufio.Reader, plain bool) (mediaType string, content io.ReadCloser, err error) {
	magic, err := raw.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	switch {
	case plain:
	case bytes.HasPrefix(magic, gzipMagic):
		zip, err := gzip.NewReader(raw)
		if err != nil {
			return "", nil, fmt.Errorf("reading gzip: %w", err)
		}
		return v1.MediaTypeImageLayerGzip, zip, nil
	case bytes.Equal(magic, zstdMagic), len(magic) == len(zstdMagic) && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], skipMagic):
		zip, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowLimit))
		if err != nil {
			return "", nil, fmt.Errorf("reading zstd: %w", err)
		}
		return v1.MediaTypeImageLayerZstd, zip.IOReadCloser(), nil
	}
	return v1.MediaTypeImageLayer, io.NopCloser(raw), nil
}

// sum hashes and counts what is written to it.
type sum struct {
	hash.Hash
	n int64
}

func newSum() *sum { return &sum{Hash: sha256.New()} }

func (s *sum) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.Hash.Write(p)
}

func (s *sum) digest() digest.Digest { return digest.NewDigest(digest.SHA256, s.Hash) }

// teed reads from one and closes another.
type teed struct {
	io.Reader
	io.Closer
}

// errMeter ends the reading of a layer that is too large.
var errMeter = errors.New("too large")

// meter fails when more than left bytes are read.
type meter struct {
	r    io.Reader
	left int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.left -= int64(n); m.left < 0 {
		return 0, errMeter
	}
	return n, err
}
