package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/volumes/objects"
	"laterna.dev/laterna/internal/volumes/tokencache"
)

// Config of a publisher. Fields are required unless they say otherwise.
type Config struct {
	Objects *objects.Cache
	Tokens  *tokencache.Cache
	// Place returns where the volume spec.volumes[index] of a pod lies. It is called
	// once for each volume of a pod, must not wait, and makes nothing yet. ctx ends when
	// the pod is forgotten.
	Place func(ctx context.Context, spec *corev1.Pod, index int) Place
	// Clock times retries and events.
	Clock clock.API
	// Wall is real time, by which publications are dated.
	Wall clock.Wall
	Log  *slog.Logger
	// NodeAllocatable is asked whenever a limit is not set.
	NodeAllocatable func() corev1.ResourceList
	// Event records an event about a pod. It is called from workers and must not wait.
	Event func(pod *corev1.Pod, eventType, reason, message string)

	// Gate decides on new content of volumes that show something already; nil lets all
	// of it pass.
	Gate Gate
	// Published, unless nil, is called after each publication that changed a volume's
	// files, in their order for each volume. It is called from workers and must not
	// wait, but may call the publisher.
	Published func(pod *corev1.Pod, p Publication)
	// Changed, unless nil, is called when the pod's Snapshot has become another one,
	// under the same conditions.
	Changed func(uid types.UID)
}

// Publisher publishes. Its methods may be called concurrently.
type Publisher struct {
	ctx   context.Context
	cfg   Config
	queue workqueue.TypedInterface[*volume]
	stop  func()
	done  sync.WaitGroup // workers
	// checks are those of the gate that run.
	checks sync.WaitGroup

	mu sync.Mutex
	// pods is nil after Close.
	pods  map[types.UID]*pod
	users map[tokencache.Request]map[*volume]struct{}
}

// ErrClosed is returned by what is called after Close.
var ErrClosed = errors.New("the volume manager is closed")

// New starts the workers, which end with ctx or Close.
func New(ctx context.Context, cfg Config) *Publisher {
	pub := &Publisher{
		ctx: ctx, cfg: cfg, queue: workqueue.NewTyped[*volume](),
		pods: map[types.UID]*pod{}, users: map[tokencache.Request]map[*volume]struct{}{},
	}
	unsubscribe := cfg.Tokens.Subscribe(pub.tokenChanged)
	unwatch := context.AfterFunc(ctx, pub.queue.ShutDown)
	pub.stop = sync.OnceFunc(func() { unwatch(); unsubscribe(); pub.queue.ShutDown() })
	for range max(4, 2*runtime.GOMAXPROCS(0)) {
		pub.done.Go(pub.work)
	}
	return pub
}

// Close ends the workers and closes every place. Files stay, for the next process to
// adopt. It may be called again.
func (pub *Publisher) Close() {
	pub.stop()
	pub.done.Wait()
	pub.mu.Lock()
	pods := pub.pods
	pub.pods = nil
	pub.mu.Unlock()
	for _, p := range pods {
		pub.drop(p)
	}
	pub.checks.Wait()
}

// pod returns a pod that was set up or adopted, nil when it was not.
func (pub *Publisher) pod(uid types.UID) *pod {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	return pub.pods[uid]
}

// Knows tells whether a pod was set up or adopted and not forgotten since.
func (pub *Publisher) Knows(uid types.UID) bool { return pub.pod(uid) != nil }

// Place returns the place of a volume of a pod, and whether the volume is whole; nil
// for what is not known.
func (pub *Publisher) Place(uid types.UID, volume string) (place Place, ready bool) {
	p := pub.pod(uid)
	if p == nil {
		return nil, false
	}
	v := p.volume(volume)
	if v == nil {
		return nil, false
	}
	return v.place, v.isReady()
}

// StillThere refuses a volume whose place somebody else has taken away, and has it made
// anew. Files that somebody removed are put back soon. It waits for the worker that has
// the volume. The error is fs.ErrNotExist for what is not known.
func (pub *Publisher) StillThere(uid types.UID, volume string) error {
	p := pub.pod(uid)
	if p == nil {
		return fmt.Errorf("pod %s: %w", uid, fs.ErrNotExist)
	}
	v := p.volume(volume)
	if v == nil {
		return fmt.Errorf("volume %q: %w", volume, fs.ErrNotExist)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	gone, err := v.place.Gone()
	if err != nil {
		return err
	}
	if gone == "" && v.opened {
		if v.content != nil {
			pub.queue.Add(v)
		}
		return nil
	}
	if !v.closed {
		v.lost()
	}
	pub.queue.Add(v)
	return fmt.Errorf("volume %q was %s by somebody else and is made anew, try again", volume, cmp.Or(gone, "removed"))
}
