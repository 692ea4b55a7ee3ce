package imagevolume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/volumes/place"
)

// pause is how soon a mount that failed is tried again.
const pause = 2 * time.Second

// Store keeps the files of images, see images.Views.
type Store interface {
	// View holds the files of an image for key and returns their directories.
	View(ctx context.Context, key, image string) (dirs []string, err error)
	// Release gives up what View holds. It may be called again.
	Release(ctx context.Context, key string) error
	// List are the images that are held, of each key.
	List(ctx context.Context) (map[string]string, error)
}

// Config is what Volumes need.
type Config struct {
	// Store is nil on a runtime that somebody else runs.
	Store Store
	// Get finds and pulls images, see imagepull.Getter.
	Get func(ctx context.Context, r imagepull.Request) imagepull.Answer
	// Volumes makes all volumes of pods.
	Volumes *place.Manager
	Log     *slog.Logger
}

// Volumes are the volumes of pods, those of images included. It is safe for concurrent
// use; the requests of one pod come one at a time.
type Volumes struct {
	*place.Manager
	cfg Config

	mu   sync.Mutex
	pods map[types.UID]map[string]*volume // by the volume's name
}

// volume is an image volume of a pod.
type volume struct {
	// image is the ID of the image that is held, "" for none.
	image    string
	failures imagepull.Failures
}

// prefix begins the keys of what the store holds; the pod's UID and the volume's name
// follow.
const prefix = "laterna-volume/"

func key(uid types.UID, name string) string { return prefix + string(uid) + "/" + name }

// New takes over what an earlier process left in the store, and gives up what is of pods
// that have no directory any more. It is called before any pod is set up.
func New(ctx context.Context, cfg Config) (*Volumes, error) {
	v := &Volumes{Manager: cfg.Volumes, cfg: cfg, pods: map[types.UID]map[string]*volume{}}
	if cfg.Store == nil {
		return v, nil
	}
	held, err := cfg.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		return v, nil
	}
	there, err := cfg.Volumes.Orphans() // all of them: none is set up
	if err != nil {
		return nil, err
	}
	for k, image := range held {
		pod, name, ok := strings.Cut(strings.TrimPrefix(k, prefix), "/")
		if uid := types.UID(pod); ok && slices.Contains(there, uid) {
			v.of(uid, name).image = image
			continue
		}
		if err := cfg.Store.Release(ctx, k); err != nil {
			cfg.Log.Warn("image of a former volume not given up", "volume", k, "error", err)
		}
	}
	return v, nil
}

// of is what is known of a volume. It is called with mu held, or by New.
func (v *Volumes) of(uid types.UID, name string) *volume {
	if v.pods[uid] == nil {
		v.pods[uid] = map[string]*volume{}
	}
	if v.pods[uid][name] == nil {
		v.pods[uid][name] = &volume{}
	}
	return v.pods[uid][name]
}

// MountImages pulls and mounts the images of all volumes that a container mounts, which
// must be set up. missing is why one has none, nil when all have theirs.
func (v *Volumes) MountImages(ctx context.Context, r imagepull.Request) (missing *imagepull.Answer) {
	for i := range r.Pod.Spec.Volumes {
		s := &r.Pod.Spec.Volumes[i]
		if s.Image == nil || !slices.ContainsFunc(r.Container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == s.Name }) {
			continue
		}
		if missing := v.mountImage(ctx, r, s); missing != nil {
			return missing
		}
	}
	return nil
}

func (v *Volumes) mountImage(ctx context.Context, r imagepull.Request, s *corev1.Volume) (missing *imagepull.Answer) {
	fails := func(err error) *imagepull.Answer {
		if ctx.Err() != nil {
			return &imagepull.Answer{Pause: pause}
		}
		text := fmt.Sprintf("volume %q, image %s: %v", s.Name, s.Image.Reference, err)
		return &imagepull.Answer{Waiting: &status.Waiting{Reason: status.CreateContainerError, Message: text}, Pause: pause, Hold: true}
	}
	if v.cfg.Store == nil {
		return fails(errors.New("images are volumes only with the private containerd, not with --cri-endpoint"))
	}
	uid := r.Pod.UID
	if mounted, err := v.ImageMounted(uid, s.Name); err != nil {
		return fails(err)
	} else if mounted {
		return nil
	}
	v.mu.Lock()
	own := v.of(uid, s.Name)
	v.mu.Unlock()
	r.Container = &corev1.Container{Name: r.Container.Name, Image: s.Image.Reference, ImagePullPolicy: s.Image.PullPolicy}
	r.About, r.Failures = events.Pod(r.Pod), &own.failures
	a := v.cfg.Get(ctx, r)
	if a.Image == nil {
		return &a
	}
	err := v.MountImage(uid, s.Name, func() ([]string, error) {
		v.mu.Lock()
		own.image = a.Image.ID // given up at the end even if what follows fails half-way
		v.mu.Unlock()
		return v.cfg.Store.View(ctx, key(uid, s.Name), a.Image.ID)
	})
	if err != nil {
		return fails(err)
	}
	return nil
}

// Teardown is Manager's; the images are given up after it.
func (v *Volumes) Teardown(ctx context.Context, uid types.UID) error {
	if err := v.Manager.Teardown(ctx, uid); err != nil {
		return err
	}
	v.mu.Lock()
	volumes := maps.Clone(v.pods[uid])
	v.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		if volumes[name].image != "" {
			errs = append(errs, v.cfg.Store.Release(ctx, key(uid, name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tearing down pod %s: %w", uid, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.pods, uid)
	return nil
}

// InUse are the IDs of the images of all volumes.
func (v *Volumes) InUse() (images []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, volumes := range v.pods {
		for _, one := range volumes {
			images = append(images, one.image)
		}
	}
	return images
}
