package place

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/projection/atomicdir"
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
	// shrinkAfter is when what an update needed beside what it replaced is free again.
	shrinkAfter = atomicdir.Grace + 100*time.Millisecond
)

// inMemory tells whether v lies on a tmpfs.
func (v *volume) inMemory() bool {
	return v.source.EmptyDir == nil || v.source.EmptyDir.Medium == corev1.StorageMediumMemory
}

// bounds are those that the tmpfs of v shall have.
func (m *Manager) bounds(v *volume, spec *corev1.Pod) rootfd.Tmpfs {
	if v.source.EmptyDir != nil {
		size := m.memorySize(v.source, spec)
		inodes := min(max(size/int64(os.Getpagesize()), leastInodes), mostInodes)
		if size == 0 {
			inodes = mostInodes
		}
		return rootfd.Tmpfs{Size: size, Inodes: inodes, NoSwap: true}
	}
	a := m.allowance(spec)
	// Each file may be in every generation, and has a link.
	return rootfd.Tmpfs{Size: a.bytes, Inodes: (generations+1)*a.entries + spareInodes, NoSwap: true}
}

// fit gives the tmpfs of v the bounds that it shall have by now: they follow the pod's
// limits, and what an update needed for a moment is taken back. The caller holds v.mu.
func (m *Manager) fit(v *volume, out *outcome) {
	if !v.mounted || !v.inMemory() {
		return
	}
	want := m.bounds(v, out.spec)
	if want == v.bounds && !v.grown {
		return
	}
	dir, err := m.root.Sub(v.dir)
	if err == nil {
		defer dir.Close()
		err = dir.ResizeTmpfs(want)
	}
	switch {
	case err == nil:
		v.bounds, v.grown = want, false
	case !errors.Is(err, rootfd.ErrInUse):
		m.cfg.Log.Warn("bounding a volume", "volume", v.dir, "error", err)
	case v.grown && v.content != nil && v.content.Replaced() > 0:
		out.later(shrinkAfter)
	}
}

// grow lets v's tmpfs hold all generations that an update may need at once, until fit
// takes it back: content that may be shown must not fail for what it replaces. It does
// nothing to a tmpfs that somebody else has resized. The caller holds v.mu.
func (m *Manager) grow(v *volume) bool {
	if v.grown || v.bounds.Size == 0 {
		return false
	}
	dir, err := m.root.Sub(v.dir)
	if err != nil {
		return false
	}
	defer dir.Close()
	size, inodes, err := dir.TmpfsBounds()
	if err != nil || size != wholePages(v.bounds.Size) || inodes != v.bounds.Inodes {
		return false
	}
	larger := v.bounds
	larger.Size = generations * v.bounds.Size
	if err := dir.ResizeTmpfs(larger); err != nil {
		m.cfg.Log.Warn("making room for an update", "volume", v.dir, "error", err)
		return false
	}
	v.grown = true
	return true
}

// withRoom writes to v, and once more with more room when there was too little.
func (m *Manager) withRoom(v *volume, out *outcome, write func() error) error {
	err := write()
	if errors.Is(err, unix.ENOSPC) && m.grow(v) {
		out.later(shrinkAfter)
		err = write()
	}
	if errors.Is(err, unix.ENOSPC) && v.grown {
		err = fmt.Errorf("%w: running containers mount replaced files of it by subPath, which stay until they are started anew", err)
	}
	return err
}
