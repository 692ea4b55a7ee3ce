// Package late is the storage of a kind that may be exchanged while it is in use.
//
// When, and for what, is internal/apiserver's to say: a watch cache begins with the first
// object of a kind. What is stored, and how, is the business of the storages themselves.
package late

import (
	"context"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// Storage is a storage that another can take the place of. Its methods may be called
// concurrently.
type Storage struct {
	first storage.Interface
	later atomic.Pointer[successor]
}

type successor struct {
	storage.Interface
	since uint64
}

// New returns a storage that is another, until there is a successor.
func New(first storage.Interface) *Storage { return &Storage{first: first} }

// Become gives it a successor that knows what happened after a revision. Watches that were
// begun before, or are from an earlier revision, go on with the first, which must not be ended.
func (l *Storage) Become(s storage.Interface, since uint64) { l.later.Store(&successor{s, since}) }

func (l *Storage) of() storage.Interface {
	if later := l.later.Load(); later != nil {
		return later
	}
	return l.first
}

// Versioner implements storage.Interface.
func (l *Storage) Versioner() storage.Versioner { return l.of().Versioner() }

// Create implements storage.Interface.
func (l *Storage) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return l.of().Create(ctx, key, obj, out, ttl)
}

// Delete implements storage.Interface.
func (l *Storage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions, validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions) error {
	return l.of().Delete(ctx, key, out, preconditions, validate, cached, opts)
}

// Watch implements storage.Interface.
func (l *Storage) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	later := l.later.Load()
	if later == nil {
		return l.first.Watch(ctx, key, opts)
	}
	if from, err := l.Versioner().ParseResourceVersion(opts.ResourceVersion); err == nil && from > 0 && from < later.since {
		return l.first.Watch(ctx, key, opts)
	}
	return later.Watch(ctx, key, opts)
}

// Get implements storage.Interface.
func (l *Storage) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return l.of().Get(ctx, key, opts, out)
}

// GetList implements storage.Interface.
func (l *Storage) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	return l.of().GetList(ctx, key, opts, list)
}

// GuaranteedUpdate implements storage.Interface.
func (l *Storage) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	return l.of().GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, update, cached)
}

// Stats implements storage.Interface.
func (l *Storage) Stats(ctx context.Context) (storage.Stats, error) { return l.of().Stats(ctx) }

// ReadinessCheck implements storage.Interface.
func (l *Storage) ReadinessCheck() error { return l.of().ReadinessCheck() }

// RequestWatchProgress implements storage.Interface.
func (l *Storage) RequestWatchProgress(ctx context.Context) error {
	return l.of().RequestWatchProgress(ctx)
}

// GetCurrentResourceVersion implements storage.Interface.
func (l *Storage) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	return l.of().GetCurrentResourceVersion(ctx)
}

// EnableResourceSizeEstimation implements storage.Interface.
func (l *Storage) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	return l.of().EnableResourceSizeEstimation(keys)
}

// CompactRevision implements storage.Interface.
func (l *Storage) CompactRevision() int64 { return l.of().CompactRevision() }
