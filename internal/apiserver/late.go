package apiserver

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// lately returns a generic.StorageDecorator: the store alone while it has no object of a
// kind, and with a watch cache before it from the first on. An empty cache costs fourteen
// goroutines and a hundred kilobytes.
func (b *backend) lately(stored <-chan struct{}) generic.StorageDecorator {
	return func(c *storagebackend.ConfigForResource, resourcePrefix string, key func(runtime.Object) (string, error), newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
		select {
		case <-stored:
			return b.cached(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
		default:
		}
		empty, _, err := b.direct(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
		if err != nil {
			return nil, nil, err
		}
		objects := &late{}
		objects.now.Store(&empty)
		ctx, end := context.WithCancel(b.client.Ctx())
		var waiting sync.WaitGroup
		stopFull := func() {}
		waiting.Go(func() {
			select {
			case <-stored:
			case <-ctx.Done():
				return
			}
			full, cached, stop, err := b.watched(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
			if err != nil {
				return // the store answers, as before
			}
			if stopFull = stop; cached.Wait(ctx) == nil {
				objects.now.Store(&full)
			}
		})
		stop := sync.OnceFunc(func() { end(); waiting.Wait(); stopFull() })
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stops = append(b.stops, stop)
		return objects, stop, nil
	}
}

// late is a storage that another takes the place of. Watches that were begun before go on.
type late struct {
	now atomic.Pointer[storage.Interface]
}

func (l *late) of() storage.Interface { return *l.now.Load() }

// Versioner implements storage.Interface.
func (l *late) Versioner() storage.Versioner { return l.of().Versioner() }

// Create implements storage.Interface.
func (l *late) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return l.of().Create(ctx, key, obj, out, ttl)
}

// Delete implements storage.Interface.
func (l *late) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions, validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions) error {
	return l.of().Delete(ctx, key, out, preconditions, validate, cached, opts)
}

// Watch implements storage.Interface.
func (l *late) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	return l.of().Watch(ctx, key, opts)
}

// Get implements storage.Interface.
func (l *late) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return l.of().Get(ctx, key, opts, out)
}

// GetList implements storage.Interface.
func (l *late) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	return l.of().GetList(ctx, key, opts, list)
}

// GuaranteedUpdate implements storage.Interface.
func (l *late) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	return l.of().GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, update, cached)
}

// Stats implements storage.Interface.
func (l *late) Stats(ctx context.Context) (storage.Stats, error) { return l.of().Stats(ctx) }

// ReadinessCheck implements storage.Interface.
func (l *late) ReadinessCheck() error { return l.of().ReadinessCheck() }

// RequestWatchProgress implements storage.Interface.
func (l *late) RequestWatchProgress(ctx context.Context) error {
	return l.of().RequestWatchProgress(ctx)
}

// GetCurrentResourceVersion implements storage.Interface.
func (l *late) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	return l.of().GetCurrentResourceVersion(ctx)
}

// EnableResourceSizeEstimation implements storage.Interface.
func (l *late) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	return l.of().EnableResourceSizeEstimation(keys)
}

// CompactRevision implements storage.Interface.
func (l *late) CompactRevision() int64 { return l.of().CompactRevision() }
