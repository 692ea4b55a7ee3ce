package apiserver

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/apiserver/late"
	"laterna.dev/laterna/internal/wait"
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
		objects := late.New(empty)
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
				b.fail(err)
				return
			}
			if stopFull = stop; cached.Wait(ctx) != nil {
				return // it ends
			}
			for ctx.Err() == nil {
				if since, err := full.GetCurrentResourceVersion(ctx); err == nil {
					objects.Become(full, since)
					return
				}
				wait.Pause(ctx, b.clock, time.Second)
			}
		})
		stop := sync.OnceFunc(func() { end(); waiting.Wait(); stopFull() })
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stops = append(b.stops, stop)
		return objects, stop, nil
	}
}
