package freshpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/host/rootfd"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/projection"
)

// reasonNotUpdated is the reason of Events about a subPath that does not follow.
const reasonNotUpdated = "SubPathNotUpdated"

// Container is a running container.
type Container struct{ ID, Name string }

// Config of a Follower. All fields are required.
type Config struct {
	Volumes Volumes
	// Running returns the containers of a pod that run now.
	Running func(uid types.UID) []Container
	// Hold holds the first process of a container, and no other.
	Hold func(ctx context.Context, container string) (*procfs.Held, error)
	// Event records an Event about a pod; it must not wait.
	Event func(pod *corev1.Pod, eventType, reason, message string)
	Log   *slog.Logger
}

// Volumes is the place.Manager.
type Volumes interface {
	Content(uid types.UID, volume string) (*place.Content, error)
	RenewSubPaths(uid types.UID, volume string) error
}

var _ Volumes = &place.Manager{}

// Follower exchanges the mounts of subPaths. Its methods may be called concurrently;
// those about one pod take turns.
type Follower struct {
	cfg Config
	// able is why mounts cannot be exchanged on this machine, nil where they can.
	able func() error

	mu   sync.Mutex
	pods map[types.UID]*pod
}

// pod is what is remembered of a pod with the annotation.
type pod struct {
	mu sync.Mutex // taken for the length of a call
	// gone says that Forget came.
	gone  bool
	procs map[string]*procfs.Held // by container ID
	// stuck are containers, by ID, in whose namespace a call did not come back.
	stuck map[string]bool
	// told is the last Event about each subject.
	told map[subject]string
}

// subject is a mount of a container; without a point it is all of them, and the zero
// value all of the pod's.
type subject struct{ container, volume, point string }

// New returns a Follower.
func New(cfg Config) *Follower {
	return &Follower{cfg: cfg, able: sync.OnceValue(rootfd.CanBeneath), pods: map[types.UID]*pod{}}
}

// Follows tells whether the subPaths of a pod follow updates.
func Follows(spec *corev1.Pod) bool { return spec.Annotations[api.SubPathUpdates] == "true" }

// Fresh brings every mount by subPath of a volume, in all running containers of the
// pod, to what is published. It returns when that is done, at once for pods without
// the annotation. What cannot follow is told in an Event, once for each cause. It may
// be called again at any time.
func (f *Follower) Fresh(ctx context.Context, spec *corev1.Pod, volume string) {
	running := f.cfg.Running(spec.UID)
	if len(running) == 0 {
		return
	}
	f.turn(spec, func(p *pod) {
		p.keep(running)
		for _, c := range running {
			if slices.Contains(bySubPath(spec, c.Name), volume) {
				f.container(ctx, p, spec, c, []string{volume})
			}
		}
		f.renew(spec, volume)
	})
}

// Started is Fresh for a container that has just been started or taken over: its
// mounts were made from what was published a moment ago. It returns false when the
// container could not be looked at, which may pass.
func (f *Follower) Started(ctx context.Context, spec *corev1.Pod, c Container) (looked bool) {
	looked = true
	if names := bySubPath(spec, c.Name); len(names) > 0 {
		f.turn(spec, func(p *pod) { looked = f.container(ctx, p, spec, c, names) })
	}
	return looked
}

// Forget gives up what is remembered of a pod.
func (f *Follower) Forget(uid types.UID) {
	f.mu.Lock()
	p := f.pods[uid]
	delete(f.pods, uid)
	f.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	p.keep(nil)
}

// turn calls do for a pod with the annotation, one call at a time.
func (f *Follower) turn(spec *corev1.Pod, do func(*pod)) {
	if !Follows(spec) {
		return
	}
	f.mu.Lock()
	p := f.pods[spec.UID]
	if p == nil {
		p = &pod{procs: map[string]*procfs.Held{}, stuck: map[string]bool{}, told: map[subject]string{}}
		f.pods[spec.UID] = p
	}
	f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch err := f.able(); {
	case p.gone:
	case err != nil:
		f.tell(p, spec, subject{}, fmt.Sprintf("subPath mounts cannot be updated on this node: %v", err))
	default:
		do(p)
	}
}

// renew lets the node's own binds follow; containers do not depend on them.
func (f *Follower) renew(spec *corev1.Pod, volume string) {
	if err := f.cfg.Volumes.RenewSubPaths(spec.UID, volume); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.cfg.Log.Warn("binds of subPaths not renewed", "pod", spec.Name, "namespace", spec.Namespace, "volume", volume, "error", err)
	}
}

// tell records why a mount does not follow, unless that was the last that was said of
// it. An empty message is that it follows.
func (f *Follower) tell(p *pod, spec *corev1.Pod, about subject, message string) {
	if p.told[about] == message {
		return
	}
	if message == "" {
		delete(p.told, about)
		return
	}
	p.told[about] = message
	text := message
	if about.volume != "" {
		text = fmt.Sprintf("volume %q in container %s: %s", about.volume, about.container, message)
	}
	f.cfg.Event(spec, corev1.EventTypeWarning, reasonNotUpdated, text)
	f.cfg.Log.Warn("a subPath mount is not updated", "pod", spec.Name, "namespace", spec.Namespace, "container", about.container, "volume", about.volume, "path", about.point, "cause", message)
}

// keep forgets all containers but those that run.
func (p *pod) keep(running []Container) {
	runs := map[string]bool{}
	for _, c := range running {
		runs[c.ID] = true
	}
	for id, held := range p.procs {
		if !runs[id] {
			held.Close()
			delete(p.procs, id)
		}
	}
	for id := range p.stuck {
		if !runs[id] {
			delete(p.stuck, id)
		}
	}
}

// bySubPath returns the volumes of API content that a container mounts by subPath.
func bySubPath(spec *corev1.Pod, container string) (names []string) {
	c := podfields.Container(&spec.Spec, container)
	if c == nil {
		return nil
	}
	for _, m := range c.VolumeMounts {
		if (m.SubPath != "" || m.SubPathExpr != "") && hasContent(spec, m.Name) && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

func hasContent(spec *corev1.Pod, volume string) bool {
	return slices.ContainsFunc(spec.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == volume && projection.Projected(&v)
	})
}
