package answers

import (
	"context"
	stderrors "errors"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/cacher/delegator"

	"laterna.dev/laterna/internal/apiserver/fairshare"
	"laterna.dev/laterna/internal/clock"
)

// statsAge is how old the number and size of a kind's objects may be that lists are
// weighed by. Counting takes as long as a list of the names.
const statsAge = 5 * time.Second

// weighed is a storage whose lists and watches wait at the gate of their request.
type weighed struct {
	storage.Interface
	cache *cacher.Cacher // nil where all comes from the store
	clock clock.Wall

	mu      sync.Mutex
	counted time.Time
	// known is what was counted last; nil before.
	known atomic.Pointer[storage.Stats]
}

// GetList implements storage.Interface.
func (s *weighed) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	r, visit := visitOf(ctx)
	if _, single := opts.Predicate.MatchesSingle(); visit == nil || single && !opts.Recursive {
		return s.Interface.GetList(ctx, key, opts, list)
	}
	e := s.estimate(ctx, opts, r.form)
	e.item = itemBytes(list)
	if err := hold(ctx, visit, e.bytes()); err != nil {
		return err
	}
	if err := s.Interface.GetList(ctx, key, opts, list); err != nil {
		return err
	}
	actual := e.weigh(list)
	if err := hold(ctx, visit, actual); err != nil {
		return err
	}
	if actual > listFree {
		actual += listBase
	}
	visit.Settle(actual)
	return nil
}

// visitOf returns the request that ctx belongs to and its visit at a gate; nil for
// what is not to wait.
func visitOf(ctx context.Context) (*reading, *fairshare.Visit) {
	r := readingOf(ctx)
	if r == nil {
		return nil, nil
	}
	return r, r.visit.Load()
}

// hold waits until a request may hold that much, if it is much.
func hold(ctx context.Context, visit *fairshare.Visit, bytes int64) error {
	if bytes <= listFree {
		return nil
	}
	err := visit.Hold(ctx, bytes+listBase)
	if stderrors.Is(err, fairshare.ErrBusy) {
		return errors.NewTooManyRequests("Too many requests, please try again later: what is being read at once needs too much memory; ask for less with limit, a namespace or a selector.", retrySeconds)
	}
	return err
}

// estimate returns what is known of a list before it is made.
func (s *weighed) estimate(ctx context.Context, opts storage.ListOptions, form listForm) estimate {
	stats := s.count(ctx)
	e := estimate{form: form, objects: stats.ObjectCount, average: stats.EstimatedAverageObjectSizeBytes}
	if limit := opts.Predicate.Limit; limit > 0 && opts.ResourceVersion != "0" {
		e.objects = min(e.objects, limit)
	}
	if s.cache == nil {
		e.stored, e.average = true, max(e.average, assumedBytes)
		return e
	}
	// What is wrong with the options the storage says.
	if from, err := delegator.ShouldDelegateList(opts, s.cache); err == nil {
		e.stored = from.ShouldDelegate
	}
	return e
}

// count returns how many objects there are and how large they are; what was known
// last where that cannot be told now.
func (s *weighed) count(ctx context.Context) storage.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known.Load()
	if known != nil && s.clock.Since(s.counted) < statsAge {
		return *known
	}
	if stats, err := s.Stats(ctx); err == nil {
		s.counted, known = s.clock.Now(), &stats
		s.known.Store(known)
	}
	if known == nil {
		return storage.Stats{}
	}
	return *known
}

// Watch implements storage.Interface.
func (s *weighed) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	_, visit := visitOf(ctx)
	if visit == nil {
		return s.Interface.Watch(ctx, key, opts)
	}
	var first int64 // objects
	if _, single := opts.Predicate.MatchesSingle(); !single && beginsWithObjects(opts) {
		first = s.count(ctx).ObjectCount
	}
	if err := hold(ctx, visit, first*eventBytes); err != nil {
		return nil, err
	}
	w, err := s.Interface.Watch(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return weighEvents(ctx, w, visit, first, s.clock), nil
}

// beginsWithObjects tells whether a watch is sent the objects that there are first.
func beginsWithObjects(opts storage.ListOptions) bool {
	if opts.SendInitialEvents != nil {
		return *opts.SendInitialEvents
	}
	return opts.ResourceVersion == "" || opts.ResourceVersion == "0"
}
