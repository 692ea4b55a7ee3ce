package inventory

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/wait"
)

const (
	// relistEvery bounds how long a lost event of the runtime goes unnoticed.
	relistEvery = time.Second
	// imageSettles is how long after containerd the CRI knows of an image.
	imageSettles = 200 * time.Millisecond
	// resubscribe is the pause before the runtime's events are asked for again.
	resubscribe = 200 * time.Millisecond
)

// Config is what an Inventory needs; all but Containerd is required.
type Config struct {
	Client Runtime
	// Containerd is the path of containerd's own API; empty when the runtime is not
	// containerd or its events must not be used.
	Containerd string
	// Instance marks what belongs to the data directory.
	Instance string
	// Wall is real time.
	Wall clock.Wall
	Log  *slog.Logger
}

// Runtime is the container runtime as this package asks it.
type Runtime interface {
	ListSandboxes(ctx context.Context, f cri.Filter) ([]cri.Sandbox, error)
	ListContainers(ctx context.Context, f cri.Filter) ([]cri.Container, error)
	// Events delivers events until they are interrupted.
	Events(ctx context.Context, deliver func(cri.Event)) error
}

// Inventory is what an instance has on the runtime. Its methods may be called
// concurrently.
type Inventory struct {
	cfg Config

	mu sync.Mutex
	// owner has the pod of every sandbox and container of this instance.
	owner map[string]types.UID
	// seen is the last look: the state of each sandbox and container.
	seen map[string]int
	err  error // of the last relist
}

// New makes an Inventory that knows of nothing yet.
func New(cfg Config) *Inventory {
	return &Inventory{cfg: cfg, owner: map[string]types.UID{}, seen: map[string]int{}}
}

// Own records whose a sandbox or container is, so that events about it find their
// pod.
func (v *Inventory) Own(id string, uid types.UID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.owner[id] = uid
}

// Disown forgets what was removed.
func (v *Inventory) Disown(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.owner, id)
}

func (v *Inventory) ownerOf(id string) (types.UID, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	uid, ok := v.owner[id]
	return uid, ok
}

// Of selects what a pod has on the runtime.
func (v *Inventory) Of(uid types.UID) cri.Filter {
	f := v.all()
	f.Labels[runspec.LabelPodUID] = string(uid)
	return f
}

// all selects everything of this instance.
func (v *Inventory) all() cri.Filter {
	return cri.Filter{Labels: map[string]string{runspec.LabelInstance: v.cfg.Instance}}
}

// Follow tells of what happens to the pods' containers until ctx ends. Events are
// hints; what is lost while the stream is interrupted comes with the relist.
func (v *Inventory) Follow(ctx context.Context, tell func(types.UID, cri.Event)) {
	native, quiet := false, false
	deliver := func(e cri.Event) {
		quiet = false
		if uid, ok := v.ownerOf(e.ID); ok {
			tell(uid, e)
		}
	}
	for ctx.Err() == nil {
		err := v.subscribe(ctx, native, deliver)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, cri.ErrNotOffered) && !native && v.cfg.Containerd != "":
			native = true
			continue
		case errors.Is(err, cri.ErrNotOffered):
			v.cfg.Log.Info("the runtime offers no events, relying on the relist")
			return
		}
		if !quiet {
			quiet = true
			v.cfg.Log.Warn("runtime events interrupted", "error", err)
		}
		wait.Pause(ctx, v.cfg.Wall, resubscribe)
	}
}

// subscribe delivers events until they are interrupted: CRI's, or containerd's own.
func (v *Inventory) subscribe(ctx context.Context, native bool, deliver func(cri.Event)) error {
	if native {
		return cri.ContainerdEvents(ctx, v.cfg.Containerd, deliver)
	}
	return v.cfg.Client.Events(ctx, deliver)
}

// FollowImages tells, until ctx ends, that there may be one more image, once the CRI has
// had the time to notice. Without containerd's own API it never does.
func (v *Inventory) FollowImages(ctx context.Context, tell func()) {
	if v.cfg.Containerd == "" {
		return
	}
	changes := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			err := cri.ImageEvents(ctx, v.cfg.Containerd, func() {
				select {
				case changes <- struct{}{}:
				default:
				}
			})
			if ctx.Err() == nil {
				v.cfg.Log.Debug("events of images interrupted", "error", err)
			}
			wait.Pause(ctx, v.cfg.Wall, resubscribe)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
		if !wait.Pause(ctx, v.cfg.Wall, imageSettles) {
			return
		}
		tell()
	}
}

// Relist compares the runtime with the last look, every second until ctx ends, and
// tells of pods that changed. answers is called when the runtime begins or ceases to
// answer.
func (v *Inventory) Relist(ctx context.Context, tell func(types.UID, Pod), answers func()) {
	ticker := v.cfg.Wall.NewTicker(relistEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		changed, err := v.Look(ctx)
		was := v.failed(err)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && was == nil:
			v.cfg.Log.Warn("container runtime does not answer", "error", err)
			answers()
		case err == nil && was != nil:
			v.cfg.Log.Info("container runtime answers again")
			answers()
		}
		for uid, pod := range changed {
			tell(uid, pod)
		}
	}
}

// failed remembers the outcome of a relist and returns the one before.
func (v *Inventory) failed(err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	was := v.err
	v.err = err
	return was
}

// Pod is a pod that has something on the runtime; it has no name when it has nothing
// left there.
type Pod struct {
	types.NamespacedName
	// Seen is when the agent first saw the pod, as the pod's annotation says it.
	Seen string
}

// Look lists everything of this instance and returns the pods that have changed
// since the last look.
func (v *Inventory) Look(ctx context.Context) (map[types.UID]Pod, error) {
	sandboxes, err := v.cfg.Client.ListSandboxes(ctx, v.all())
	if err != nil {
		return nil, err
	}
	containers, err := v.cfg.Client.ListContainers(ctx, v.all())
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := map[types.UID]Pod{}
	seen, owner := map[string]int{}, map[string]types.UID{}
	note := func(id string, state int, labels map[string]string, first string) {
		uid := types.UID(labels[runspec.LabelPodUID])
		seen[id], owner[id] = state, uid
		if was, ok := v.seen[id]; !ok || was != state {
			changed[uid] = Pod{
				NamespacedName: types.NamespacedName{Namespace: labels[runspec.LabelPodNamespace], Name: labels[runspec.LabelPodName]},
				Seen:           cmp.Or(first, changed[uid].Seen),
			}
		}
	}
	for _, s := range sandboxes {
		note(s.ID, int(s.State), s.Labels, s.Annotations[runspec.AnnotationSeen])
	}
	for _, c := range containers {
		note(c.ID, int(c.State), c.Labels, "")
	}
	for id := range v.seen {
		uid := v.owner[id]
		if _, noted := changed[uid]; !noted && owner[id] == "" {
			changed[uid] = Pod{}
		}
	}
	// What was made since the list was read stays known.
	for id, uid := range v.owner {
		if _, was := v.seen[id]; !was {
			owner[id] = uid
		}
	}
	v.seen, v.owner = seen, owner
	return changed, nil
}
