package answers

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	flowcontrolrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"

	"laterna.dev/laterna/internal/clock"
)

// Counts are how many objects there are of each resource, as lists found it: what lists
// are weighed by here, priority and fairness weighs them by too. It implements
// flowcontrolrequest.StorageObjectCountTracker; its methods may be called concurrently.
type Counts struct {
	clock clock.Wall

	mu  sync.RWMutex
	all map[string]*weighed // by group and resource
}

// NewCounts returns counts of nothing yet.
func NewCounts(c clock.Wall) *Counts { return &Counts{clock: c, all: map[string]*weighed{}} }

// Weigh lets lists and watches of s wait, whose resource is counted until forget is called.
// It reads from cache, or, where that is nil, from the store alone, which knows the number
// of the objects and not their size.
func (c *Counts) Weigh(r schema.GroupResource, s storage.Interface, cache *cacher.Cacher) (weighs storage.Interface, forget func()) {
	w := &weighed{Interface: s, cache: cache, clock: c.clock}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[r.String()] = w
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.all[r.String()] == w {
			delete(c.all, r.String())
		}
	}
}

// Get returns what was counted last. It never asks the store: it is called where nobody
// may wait.
func (c *Counts) Get(resource string) (storage.Stats, error) {
	c.mu.RLock()
	w := c.all[resource]
	c.mu.RUnlock()
	if w == nil {
		return storage.Stats{}, flowcontrolrequest.ObjectCountNotFoundErr
	}
	known := w.known.Load()
	if known == nil {
		return storage.Stats{}, flowcontrolrequest.ObjectCountNotFoundErr
	}
	stats := *known
	if w.cache == nil {
		stats.EstimatedAverageObjectSizeBytes = max(stats.EstimatedAverageObjectSizeBytes, assumedBytes)
	}
	return stats, nil
}

// Set is for a library that counts by itself, which ours does not.
func (c *Counts) Set(string, storage.Stats) {}

// RunUntil has nothing to do.
func (c *Counts) RunUntil(<-chan struct{}) {}
