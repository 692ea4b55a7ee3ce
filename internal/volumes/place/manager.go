package place

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/volumes/objects"
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
	Clock clock.WithTickerAndDelayedExecution
	Log   *slog.Logger
	// NodeAllocatable is asked whenever a limit is not set.
	NodeAllocatable func() corev1.ResourceList
	// Event records an event about a pod. It is called from workers and must not wait.
	Event func(pod *corev1.Pod, eventType, reason, message string)

	// Gate decides on new content of volumes that show something already; nil lets all
	// of it pass.
	Gate Gate
	// Published, unless nil, is called after each publication that changed a volume's
	// files, in their order for each volume. It is called from workers and must not
	// wait, but may call the manager.
	Published func(pod *corev1.Pod, p Publication)
	// Evict, unless nil, is told that a pod's emptyDir on disk is larger than its
	// sizeLimit, now and again until the pod is torn down. It must not wait.
	Evict func(pod *corev1.Pod, message string)
	// Wall is real time, by which volumes are measured and publications are dated; nil
	// is the machine's clock.
	Wall clock.WithTicker
	// Changed, unless nil, is called when the pod's Snapshot has become another one,
	// under the same conditions.
	Changed func(uid types.UID)
}

// Manager makes volumes. Its methods may be called concurrently.
type Manager struct {
	ctx   context.Context
	cfg   Config
	root  *rootfd.Dir
	path  string // of root, without links
	queue workqueue.TypedInterface[*volume]
	stop  func()
	done  sync.WaitGroup // workers
	// checks are those of the gate that run.
	checks sync.WaitGroup
	// measuring is held by the one who measures a volume.
	measuring chan struct{}
	life      sync.RWMutex // held for reading while root is used outside of workers

	mu sync.Mutex
	// pods is nil after Close.
	pods  map[types.UID]*pod
	users map[tokencache.Request]map[*volume]struct{}
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
	if cfg.Wall == nil {
		cfg.Wall = clock.RealClock{}
	}
	m := &Manager{
		ctx: ctx, cfg: cfg, root: root, path: path,
		queue: workqueue.NewTyped[*volume](), measuring: make(chan struct{}, 1),
		pods: map[types.UID]*pod{}, users: map[tokencache.Request]map[*volume]struct{}{},
	}
	unsubscribe := cfg.Tokens.Subscribe(m.tokenChanged)
	unwatch := context.AfterFunc(ctx, m.queue.ShutDown)
	m.stop = sync.OnceFunc(func() { unwatch(); unsubscribe(); m.queue.ShutDown() })
	for range max(4, 2*runtime.GOMAXPROCS(0)) {
		m.done.Go(m.work)
	}
	return m, nil
}

// Close ends the workers. Mounts and files stay, for the next process to adopt.
func (m *Manager) Close() error {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	pods := m.pods
	m.pods = nil
	m.mu.Unlock()
	if pods == nil {
		return nil
	}
	for _, p := range pods {
		m.forget(p)
	}
	m.checks.Wait()
	m.life.Lock()
	defer m.life.Unlock()
	return m.root.Close()
}

var errClosed = errors.New("the volume manager is closed")

// use keeps root open until done is called.
func (m *Manager) use() (done func(), err error) {
	m.life.RLock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pods == nil {
		m.life.RUnlock()
		return nil, errClosed
	}
	return m.life.RUnlock, nil
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
	m.mu.Lock()
	defer m.mu.Unlock()
	var orphans []types.UID
	for _, e := range entries {
		if uid := types.UID(e.Name()); m.pods[uid] == nil {
			orphans = append(orphans, uid)
		}
	}
	slices.Sort(orphans)
	return orphans, nil
}
