package watched

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/ownapi"
	"laterna.dev/laterna/internal/top/picture"
)

// Config says what is watched.
type Config struct {
	API *rest.Config
	// Namespace whose pods are watched; empty for all.
	Namespace string
	Clock     clock.Wall
}

// Watched is what is known. It is safe for concurrent use.
type Watched struct {
	cfg     Config
	client  kubernetes.Interface
	kinds   []*kind
	changed chan struct{}

	mu   sync.Mutex
	time picture.Clock
}

// kind is one collection.
type kind struct {
	name     string
	informer cache.SharedIndexInformer

	mu      sync.Mutex
	trouble error
}

// The collections by their places in Watched.kinds.
const (
	pods = iota
	reports
	configMaps
)

// New returns what watches nothing before Run.
func New(c Config) (*Watched, error) {
	api := rest.CopyConfig(c.API)
	api.WarningHandler = rest.NoWarnings{} // they would be written over what is drawn
	w := &Watched{cfg: c, changed: make(chan struct{}, 1)}
	own, err := ownapi.NewClient(api, v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme)
	if err != nil {
		return nil, err
	}
	if w.client, err = kubernetes.NewForConfig(api); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	meta, err := metadata.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("making a client of metadata: %w", err)
	}
	maps := meta.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(c.Namespace)
	w.kinds = []*kind{
		pods:    w.newKind("pods", &corev1.Pod{}, cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "pods", c.Namespace, fields.Everything()), slimPod),
		reports: w.newKind("podprojections", &v1alpha1.PodProjection{}, cache.NewListWatchFromClient(own, v1alpha1.Plural, c.Namespace, fields.Everything()), slimObject),
		configMaps: w.newKind("configmaps", &metav1.PartialObjectMetadata{}, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return maps.List(ctx, o) },
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return maps.Watch(ctx, o)
			},
		}, slimObject),
	}
	return w, nil
}

func (w *Watched) newKind(name string, object runtime.Object, from *cache.ListWatch, slim cache.TransformFunc) *kind {
	k := &kind{name: name}
	heard := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := from.ListWithContextFunc(ctx, o)
			w.hear(ctx, k, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			events, err := from.WatchFuncWithContext(ctx, o)
			if o.SendInitialEvents == nil || !isListed(err) {
				w.hear(ctx, k, err)
			}
			return events, err
		},
		DisableChunking: from.DisableChunking,
	}
	k.informer = cache.NewSharedIndexInformer(heard, object, 0, nil)
	// Neither fails before the informer runs.
	_ = k.informer.SetTransform(slim)
	_ = k.informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
	return k
}

// isListed tells whether what should begin with a watch is listed after that failure, as the
// server has refused it: how that ends says more.
func isListed(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && !apierrors.IsTooManyRequests(err)
}

// hear notes how a request ended.
func (w *Watched) hear(ctx context.Context, k *kind, err error) {
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	k.trouble = err
	k.mu.Unlock()
	w.notify()
}

// Run watches until ctx ends.
func (w *Watched) Run(ctx context.Context) {
	var all sync.WaitGroup
	for i, k := range w.kinds {
		tell := func(any) { w.notify() }
		if i == configMaps {
			tell = func(object any) { w.moved(ctx, object) }
		}
		_, _ = k.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell, UpdateFunc: func(_, object any) { tell(object) }, DeleteFunc: tell,
		})
		all.Go(func() { k.informer.RunWithContext(ctx) })
		all.Go(func() { // of what is empty no event tells that it was read
			select {
			case <-k.informer.HasSyncedChecker().Done():
				w.notify()
			case <-ctx.Done():
			}
		})
	}
	w.askTime(ctx)
	all.Wait()
}

// notify says that something changed, once until somebody looks.
func (w *Watched) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Changed yields after changes, which may have been several.
func (w *Watched) Changed() <-chan struct{} { return w.changed }

// Ready tells whether all kinds were read, or cannot be.
func (w *Watched) Ready() bool {
	for _, k := range w.kinds {
		if !k.informer.HasSynced() && k.failed() == nil {
			return false
		}
	}
	return true
}

func (k *kind) failed() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trouble
}

// Snapshot returns what is known. Its objects are shared and not to be changed.
func (w *Watched) Snapshot() picture.Snapshot {
	var s picture.Snapshot
	if k := w.kinds[pods]; k.informer.HasSynced() {
		s.Pods = objects[*corev1.Pod](k)
	}
	s.Projections = objects[*v1alpha1.PodProjection](w.kinds[reports])
	s.Versions = map[types.NamespacedName]string{}
	for _, m := range objects[*metav1.PartialObjectMetadata](w.kinds[configMaps]) {
		s.Versions[types.NamespacedName{Namespace: m.Namespace, Name: m.Name}] = m.ResourceVersion
	}
	return s
}

func objects[T any](k *kind) []T {
	all := []T{}
	for _, o := range k.informer.GetStore().List() {
		if one, ok := o.(T); ok {
			all = append(all, one)
		}
	}
	return all
}
