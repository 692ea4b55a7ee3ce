package place

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/publish"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// Config of a manager. Fields are required unless they say otherwise.
type Config struct {
	Objects *objects.Cache
	Tokens  *tokencache.Cache
	// Root is the pods directory; it is made if it is missing. One manager at a time
	// works in it.
	Root string
	// Clock times retries, events and the life of replaced generations.
	Clock clock.API
	Log   *slog.Logger
	// NodeAllocatable is asked whenever a limit is not set.
	NodeAllocatable func() corev1.ResourceList
	// Event records an event about a pod. It is called from workers and must not wait.
	Event func(pod *corev1.Pod, eventType, reason, message string)

	// Gate decides on new content of volumes that show something already; nil lets all
	// of it pass.
	Gate publish.Gate
	// Published, unless nil, is called after each publication that changed a volume's
	// files, in their order for each volume. It is called from workers and must not
	// wait, but may call the manager.
	Published func(pod *corev1.Pod, p publish.Publication)
	// Evict, unless nil, is told that a pod's emptyDir on disk is larger than its
	// sizeLimit, now and again until the pod is torn down. It must not wait.
	Evict func(pod *corev1.Pod, message string)
	// Wall is real time, by which volumes are measured and publications are dated.
	Wall clock.Wall
	// Changed, unless nil, is called when the pod's Snapshot has become another one,
	// under the same conditions.
	Changed func(uid types.UID)
}

// Manager makes volumes. Its methods may be called concurrently.
type Manager struct {
	*publish.Publisher
	cfg  Config
	root *rootfd.Dir
	path string // of root, without links
	// measuring is held by the one who measures a volume.
	measuring chan struct{}
	life      sync.RWMutex // held for reading while root is used outside of workers
	closed    atomic.Bool
}

// New opens the pods directory and starts the workers, which end with ctx or Close.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	if err := os.MkdirAll(cfg.Root, dirMode); err != nil {
		return nil, fmt.Errorf("making the pods directory: %w", err)
	}
	path, err := filepath.EvalSymlinks(cfg.Root)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the pods directory: %w", err)
	}
	root, err := rootfd.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the pods directory: %w", err)
	}
	m := &Manager{cfg: cfg, root: root, path: path, measuring: make(chan struct{}, 1)}
	m.Publisher = publish.New(ctx, publish.Config{
		Objects: cfg.Objects, Tokens: cfg.Tokens, Place: m.place,
		Clock: cfg.Clock, Wall: cfg.Wall, Log: cfg.Log,
		NodeAllocatable: cfg.NodeAllocatable, Event: cfg.Event,
		Gate: cfg.Gate, Published: cfg.Published, Changed: cfg.Changed,
	})
	return m, nil
}

// Close ends the workers. Mounts and files stay, for the next process to adopt.
func (m *Manager) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	m.Publisher.Close()
	m.life.Lock()
	defer m.life.Unlock()
	return m.root.Close()
}

// use keeps root open until done is called.
func (m *Manager) use() (done func(), err error) {
	m.life.RLock()
	if m.closed.Load() {
		m.life.RUnlock()
		return nil, publish.ErrClosed
	}
	return m.life.RUnlock, nil
}

// spot returns where a volume of a pod lies, nil for what is not known, and whether the
// volume is whole.
func (m *Manager) spot(uid types.UID, volume string) (s *spot, ready bool) {
	place, ready := m.Publisher.Place(uid, volume)
	s, _ = place.(*spot)
	return s, ready
}

// PodDir is the directory of a pod: its volumes, and what else the agent keeps for
// it. Teardown removes all of it.
func (m *Manager) PodDir(uid types.UID) string { return filepath.Join(m.path, string(uid)) }

// Orphans returns the pods that have a directory but were neither set up nor
// adopted: what an earlier process left.
func (m *Manager) Orphans() ([]types.UID, error) {
	entries, err := os.ReadDir(m.path)
	if err != nil {
		return nil, fmt.Errorf("listing the pods directory: %w", err)
	}
	var orphans []types.UID
	for _, e := range entries {
		if uid := types.UID(e.Name()); !m.Knows(uid) {
			orphans = append(orphans, uid)
		}
	}
	slices.Sort(orphans)
	return orphans, nil
}
