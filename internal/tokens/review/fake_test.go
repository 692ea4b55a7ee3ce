package review_test

import (
	"context"
	"strconv"
	"sync"
	"time"

	"laterna.dev/laterna/internal/tokens/review"
)

// store keeps objects in memory with revisions, as etcd does: every call takes
// effect at one moment between its start and its end.
type store struct {
	mu      sync.Mutex
	rev     int64
	objects map[review.ObjectKey]review.Object
	err     error

	reads, proofs int
	// before and after run in revisions, around the moment of its reading.
	before, after func()
}

func newStore() *store { return &store{objects: map[review.ObjectKey]review.Object{}} }

// put creates or changes an object and returns its UID, a new one if it is new.
func (s *store) put(k review.ObjectKey, change func(*review.Object)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rev++
	o, ok := s.objects[k]
	if !ok {
		o.UID = "uid-" + strconv.FormatInt(s.rev, 10)
	}
	if change != nil {
		change(&o)
	}
	o.Revision = s.rev
	s.objects[k] = o
	return o.UID
}

func (s *store) delete(k review.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rev++
	delete(s.objects, k)
}

func (s *store) terminate(k review.ObjectKey, at time.Time) {
	s.put(k, func(o *review.Object) { o.Deleted = at })
}

// Get implements review.Objects.
func (s *store) Get(_ context.Context, keys ...review.ObjectKey) ([]*review.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*review.Object, len(keys))
	for i, k := range keys {
		s.reads++
		if o, ok := s.objects[k]; ok {
			out[i] = &o
		}
	}
	return out, s.err
}

func (s *store) revisions(_ context.Context, keys []review.ObjectKey) ([]int64, error) {
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	s.proofs++
	out := make([]int64, len(keys))
	for i, k := range keys {
		out[i] = s.objects[k].Revision
	}
	err := s.err
	s.mu.Unlock()
	if s.after != nil {
		s.after()
	}
	return out, err
}

// counts returns how often objects were read and revisions proven since the last call.
func (s *store) counts() (reads, proofs int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reads, proofs = s.reads, s.proofs
	s.reads, s.proofs = 0, 0
	return reads, proofs
}
