package place

import (
	"errors"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/publish"
)

const (
	// leastInodes and mostInodes bound the files of an emptyDir in memory; between them
	// it has one for each page, as the kernel's default is.
	leastInodes = 16_384
	mostInodes  = 1 << 20
	// spareInodes are those of a volume's own directory, and of mount points in it.
	spareInodes = 64
	// generations is how many of a volume's content there may have to be at once: what
	// is shown, what is looked at before it is shown, and what replaces them.
	generations = 3
)

// inMemory tells whether the volume lies on a tmpfs.
func (s *spot) inMemory() bool {
	return s.shows() || s.source.EmptyDir != nil && s.source.EmptyDir.Medium == corev1.StorageMediumMemory
}

// want are the bounds that the tmpfs shall have.
func (s *spot) want(spec *corev1.Pod) rootfd.Tmpfs {
	if s.source.EmptyDir != nil {
		size := s.m.memorySize(s.source, spec)
		inodes := min(max(size/int64(os.Getpagesize()), leastInodes), mostInodes)
		if size == 0 {
			inodes = mostInodes
		}
		return rootfd.Tmpfs{Size: size, Inodes: inodes, NoSwap: true}
	}
	bytes, entries := publish.Allowance(spec, s.m.cfg.NodeAllocatable())
	// Each file may be in every generation, and has a link.
	return rootfd.Tmpfs{Size: bytes, Inodes: (generations+1)*entries + spareInodes, NoSwap: true}
}

// Fit implements publish.Place: bounds follow the pod's limits, and what an update
// needed for a moment is taken back.
func (s *spot) Fit(spec *corev1.Pod) (again time.Duration) {
	s.spec.Store(spec)
	if !s.inMemory() {
		return 0
	}
	want := s.want(spec)
	if want == s.bounds && !s.grown {
		return 0
	}
	dir, err := s.m.root.Sub(s.dir)
	if err == nil {
		defer dir.Close()
		err = dir.ResizeTmpfs(want)
	}
	switch {
	case err == nil:
		s.bounds, s.grown = want, false
	case !errors.Is(err, rootfd.ErrInUse):
		s.m.cfg.Log.Warn("bounding a volume", "volume", s.dir, "error", err)
	case s.grown && s.content != nil && s.content.Replaced() > 0:
		return publish.ShrinkAfter
	}
	return 0
}

// Grow implements publish.Place: all generations that an update may need at once fit,
// since content that may be shown must not fail for what it replaces. It does nothing to
// a tmpfs that somebody else has resized.
func (s *spot) Grow() bool {
	if s.grown || s.bounds.Size == 0 {
		return false
	}
	dir, err := s.m.root.Sub(s.dir)
	if err != nil {
		return false
	}
	defer dir.Close()
	size, inodes, err := dir.TmpfsBounds()
	if err != nil || size != publish.Pages(s.bounds.Size) || inodes != s.bounds.Inodes {
		return false
	}
	larger := s.bounds
	larger.Size = generations * s.bounds.Size
	if err := dir.ResizeTmpfs(larger); err != nil {
		s.m.cfg.Log.Warn("making room for an update", "volume", s.dir, "error", err)
		return false
	}
	s.grown = true
	return true
}

// Grown implements publish.Place.
func (s *spot) Grown() bool { return s.grown }
