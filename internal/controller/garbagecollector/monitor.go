package garbagecollector

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// monitors feed the graph with the objects of every kind. They are used by one goroutine.
type monitors struct {
	client metadata.Interface
	graph  *graph
	wake   func(due)
	of     map[kind]*monitor
	all    sync.WaitGroup
}

// monitor is what a reflector fills: it hands each change to the graph and keeps nothing.
type monitor struct {
	kind   kind
	graph  *graph
	wake   func(due)
	filled chan struct{} // closed when the graph has all objects there are
	once   sync.Once
	stop   context.CancelFunc
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
	ctx, stop := context.WithCancel(ctx)
	one := &monitor{kind: k, graph: m.graph, wake: m.wake, filled: make(chan struct{}), stop: stop}
	client := m.client.Resource(k.resource)
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}, m.client)
	reflector := cache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, one, cache.ReflectorOptions{Name: "garbage collector, " + k.resource.Resource})
	m.all.Go(func() { reflector.RunWithContext(ctx) })
	return one
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

func (m *monitor) changed(obj any) error {
	if o, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.wake(m.graph.observe(m.kind, o))
	}
	return nil
}

// Add implements cache.ReflectorStore.
func (m *monitor) Add(obj any) error { return m.changed(obj) }

// Update implements cache.ReflectorStore.
func (m *monitor) Update(obj any) error { return m.changed(obj) }

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
	m.once.Do(func() { close(m.filled) })
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
