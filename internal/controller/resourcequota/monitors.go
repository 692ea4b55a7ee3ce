package resourcequota

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/registry/core/limits/usage"
)

// resources are those whose objects a list counts, but for those that are followed anyway.
func resources(hard corev1.ResourceList) (all []schema.GroupResource) {
	for name := range hard {
		r, counted := strings.CutPrefix(string(name), "count/")
		resource := schema.ParseGroupResource(r)
		switch {
		case !counted && !slices.Contains(usage.Aliased(), resource):
		case resource == corev1.Resource("pods"), resource == corev1.Resource("services"), resource == corev1.Resource("persistentvolumeclaims"):
		default:
			all = append(all, resource)
		}
	}
	return all
}

// monitors notice when objects of a namespace are deleted. Their methods may be called
// concurrently.
type monitors struct {
	client  metadata.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	changed func(namespace string)

	mu   sync.Mutex
	life context.Context // that of run, nil before
	all  map[monitored]context.CancelFunc
	done sync.WaitGroup
}

type monitored struct {
	namespace string
	resource  schema.GroupResource
}

func newMonitors(c Config, changed func(string)) *monitors {
	return &monitors{
		client: c.Metadata, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Client.Discovery())),
		changed: changed, all: map[monitored]context.CancelFunc{},
	}
}

// run lets the monitors live until ctx ends.
func (m *monitors) run(ctx context.Context) {
	m.mu.Lock()
	m.life = ctx
	m.mu.Unlock()
	m.changed(corev1.NamespaceAll) // what was asked for before
	<-ctx.Done()
	m.done.Wait()
}

// set follows some resources of a namespace and no others.
func (m *monitors) set(namespace string, limited map[schema.GroupResource]bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of, end := range m.all {
		if of.namespace == namespace && !limited[of.resource] {
			end()
			delete(m.all, of)
		}
	}
	if m.life == nil || m.life.Err() != nil {
		return nil
	}
	for r := range limited {
		of := monitored{namespace, r}
		if m.all[of] != nil {
			continue
		}
		at, err := m.find(r)
		if meta.IsNoMatchError(err) {
			continue // nothing of it can be there
		}
		if err != nil {
			return err
		}
		m.begin(of, at)
	}
	return nil
}

func (m *monitors) begin(of monitored, at schema.GroupVersionResource) {
	informer := metadatainformer.NewFilteredMetadataInformer(m.client, at, of.namespace, 0, cache.Indexers{}, nil).Informer()
	// An error is of an informer that has ended.
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(obj any) {
		if name, ok := run.NameOf(obj); ok {
			m.changed(name.Namespace)
		}
	}})
	ctx, end := context.WithCancel(m.life)
	m.all[of] = end
	m.done.Go(func() { informer.RunWithContext(ctx) })
}

// find returns where a resource is served. Custom resources come at any time.
func (m *monitors) find(r schema.GroupResource) (schema.GroupVersionResource, error) {
	at, err := m.mapper.ResourceFor(r.WithVersion(""))
	if meta.IsNoMatchError(err) {
		m.mapper.Reset()
		at, err = m.mapper.ResourceFor(r.WithVersion(""))
	}
	if err == nil && at.GroupResource() != r {
		return at, &meta.NoResourceMatchError{PartialResource: r.WithVersion("")}
	}
	return at, err
}

// known tells whether a resource is served.
func (m *monitors) known(r schema.GroupResource) bool {
	_, err := m.find(r)
	return err == nil
}

// list returns the objects of a resource in a namespace as they are now.
func (m *monitors) list(ctx context.Context, r schema.GroupResource, namespace string) ([]runtime.Object, error) {
	at, err := m.find(r)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", r, err)
	}
	list, err := m.client.Resource(at).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r, err)
	}
	all := make([]runtime.Object, len(list.Items))
	for i := range list.Items {
		all[i] = &list.Items[i]
	}
	return all, nil
}
