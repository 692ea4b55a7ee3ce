package garbagecollector

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
)

// monitors feed the graph with the objects of every kind. They are told by one goroutine
// which kinds there are.
type monitors struct {
	client metadata.Interface
	// stored returns what is closed once there is an object of a resource: one of which
	// there is none is not watched.
	stored func(schema.GroupResource) <-chan struct{}
	// informers has the caches that other controllers fill, and shared is which those are;
	// a watch costs more than a handler.
	informers informers.SharedInformerFactory
	shared    map[schema.GroupVersionResource]func() cache.SharedIndexInformer
	graph     *graph
	wake      func(due)
	of        map[kind]*monitor
	all       sync.WaitGroup
	// beginning is how many kinds have had their first object and are not in the graph yet.
	beginning atomic.Int32
}

// monitor is what a reflector fills, or a shared cache tells of changes: it hands each to
// the graph and keeps nothing.
type monitor struct {
	kind   kind
	graph  *graph
	wake   func(due)
	filled chan struct{} // closed when the graph has all objects there are
	once   sync.Once
	// caughtUp is called when the graph has what the watch of a kind began with that had none.
	caughtUp func()
	stop     context.CancelFunc
}

var (
	_ cache.ReflectorStore    = &monitor{}
	_ cache.TransformingStore = &monitor{}
)

// follow watches these kinds and no others, until ctx ends.
func (m *monitors) follow(ctx context.Context, kinds []kind) {
	wanted := map[kind]bool{}
	for _, k := range kinds {
		wanted[k] = true
		if m.of[k] == nil {
			m.of[k] = m.begin(ctx, k)
		}
	}
	for k, old := range m.of {
		if !wanted[k] {
			old.stop()
			delete(m.of, k)
		}
	}
}

func (m *monitors) begin(ctx context.Context, k kind) *monitor {
	life, stop := context.WithCancel(ctx)
	one := &monitor{kind: k, graph: m.graph, wake: m.wake, filled: make(chan struct{}), stop: stop}
	stored := m.stored(k.resource.GroupResource())
	select {
	case <-stored:
		m.watch(ctx, life, one)
	default:
		one.full() // the graph has all of none
		m.all.Go(func() {
			select {
			case <-stored:
				m.beginning.Add(1)
				one.caughtUp = sync.OnceFunc(func() { m.beginning.Add(-1) })
				context.AfterFunc(life, one.caughtUp)
				m.watch(ctx, life, one)
			case <-life.Done():
			}
		})
	}
	return one
}

// watch feeds a monitor until its life ends. A shared cache that nobody else has begun yet
// goes on until ctx ends.
func (m *monitors) watch(ctx, life context.Context, one *monitor) {
	resource := one.kind.resource
	if informer := m.shared[resource]; informer != nil && m.share(life, one, informer()) {
		m.informers.Start(ctx.Done())
		return
	}
	client := m.client.Resource(resource)
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}, m.client)
	reflector := cache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, one, cache.ReflectorOptions{Name: "garbage collector, " + resource.Resource})
	m.all.Go(func() { reflector.RunWithContext(life) })
}

// share has a monitor fed by a cache that is there for others. It returns whether it is.
func (m *monitors) share(ctx context.Context, one *monitor, informer cache.SharedIndexInformer) bool {
	handle, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: one.seen, UpdateFunc: func(_, obj any) { one.seen(obj) },
		DeleteFunc: func(obj any) {
			if o, ok := run.Last[metav1.Object](obj); ok {
				one.wake(one.graph.remove(o.GetUID()))
			}
		},
	})
	if err != nil {
		return false // it has ended, as the program does
	}
	m.all.Go(func() {
		if cache.WaitFor(ctx, "", handle.HasSyncedChecker()) {
			one.full()
		}
		<-ctx.Done()
		_ = informer.RemoveEventHandler(handle) // it fails where the informer has ended
	})
	return true
}

// full notes that the graph has all objects there are.
func (m *monitor) full() {
	m.once.Do(func() { close(m.filled) })
	if m.caughtUp != nil {
		m.caughtUp()
	}
}

func (m *monitor) seen(obj any) {
	if o, ok := obj.(metav1.Object); ok {
		m.wake(m.graph.observe(m.kind, o))
	}
}

// await waits until the graph has all objects of the kinds that are followed, or patience
// is over; it returns the kinds that are missing.
func (m *monitors) await(ctx context.Context, patience <-chan time.Time) (missing []kind) {
	for k, one := range m.of {
		select {
		case <-one.filled:
			continue
		default:
		}
		select {
		case <-one.filled:
		case <-ctx.Done():
			return missing
		case <-patience:
			closed := make(chan time.Time)
			close(closed)
			patience = closed // over for the others, too
			missing = append(missing, k)
		}
	}
	return missing
}

// Add implements cache.ReflectorStore.
func (m *monitor) Add(obj any) error {
	m.seen(obj)
	return nil
}

// Update implements cache.ReflectorStore.
func (m *monitor) Update(obj any) error { return m.Add(obj) }

// Delete implements cache.ReflectorStore.
func (m *monitor) Delete(obj any) error {
	if o, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.wake(m.graph.remove(o.UID))
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (m *monitor) Replace(list []any, _ string) error {
	all := make([]metav1.Object, 0, len(list))
	for _, obj := range list {
		if o, ok := obj.(*metav1.PartialObjectMetadata); ok {
			all = append(all, o)
		}
	}
	m.wake(m.graph.replace(m.kind, all))
	m.full()
	return nil
}

// Resync implements cache.ReflectorStore.
func (m *monitor) Resync() error { return nil }

// Transformer implements cache.TransformingStore: what the graph has no use for is not
// kept while a list comes in.
func (m *monitor) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if o, ok := obj.(*metav1.PartialObjectMetadata); ok {
			o.Labels, o.Annotations, o.ManagedFields, o.GenerateName = nil, nil, nil, ""
		}
		return obj, nil
	}
}
