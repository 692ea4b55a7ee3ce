package review

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/lru"
)

// Revisions returns, for every key, the store's revision of the object's last
// change, or 0 for one that does not exist. All are read at once, at some time
// after the call (in etcd terms: one linearizable transaction of keys-only reads,
// never a serializable one). It is called with at most MaxBatch keys, none twice.
type Revisions func(ctx context.Context, keys []ObjectKey) ([]int64, error)

const (
	// MaxBatch is the greatest number of keys in one call of Revisions; it is
	// etcd's own default limit for a transaction.
	MaxBatch = 128
	// provenSize is the number of objects remembered, about 200 bytes each.
	provenSize = 8192
	// batchTimeout bounds one call of Revisions.
	batchTimeout = 10 * time.Second
)

// NewProven returns Objects that remembers what it read and, on every Get, has
// the store prove that nothing changed since: an object is answered from memory
// only if its revision in the store, read after the call of Get, is the
// remembered one. Everything else, absence too, is read from live.
//
// Revision reads of concurrent Gets are joined: while one is under way the next
// gathers, so the store sees at most one at a time.
func NewProven(live Objects, revisions Revisions) Objects {
	return &proven{live: live, revisions: revisions, known: lru.New(provenSize)}
}

type proven struct {
	live      Objects
	revisions Revisions
	known     *lru.Cache // ObjectKey to *Object

	mu      sync.Mutex
	waiting []*batch // in the order of their reads; none has begun
	running bool     // a goroutine works on waiting
}

// batch is one call of Revisions to be.
type batch struct {
	keys  []ObjectKey
	index map[ObjectKey]int
	done  chan struct{} // closed when revs and err are set
	revs  []int64
	err   error
}

func (p *proven) Get(ctx context.Context, keys ...ObjectKey) ([]*Object, error) {
	b := p.join(ctx, keys)
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b.err != nil {
		return nil, fmt.Errorf("reading revisions: %w", b.err)
	}
	out := make([]*Object, len(keys))
	for i, k := range keys {
		rev := b.revs[b.index[k]]
		if known, ok := p.known.Get(k); ok && rev != 0 && known.(*Object).Revision == rev {
			out[i] = known.(*Object)
			continue
		}
		read, err := p.live.Get(ctx, k)
		if err != nil {
			return nil, err
		}
		if out[i] = read[0]; out[i] == nil {
			p.known.Remove(k)
		} else {
			p.known.Add(k, out[i])
		}
	}
	return out, nil
}

// join adds keys to a batch whose read has not begun.
func (p *proven) join(ctx context.Context, keys []ObjectKey) *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b *batch
	if n := len(p.waiting); n > 0 && len(p.waiting[n-1].keys)+len(keys) <= MaxBatch {
		b = p.waiting[n-1]
	} else {
		b = &batch{index: map[ObjectKey]int{}, done: make(chan struct{})}
		p.waiting = append(p.waiting, b)
	}
	for _, k := range keys {
		if _, ok := b.index[k]; !ok {
			b.index[k] = len(b.keys)
			b.keys = append(b.keys, k)
		}
	}
	if !p.running {
		p.running = true
		go p.work(context.WithoutCancel(ctx)) // the batch is others' too
	}
	return b
}

// work reads batch after batch and ends when none waits.
func (p *proven) work(ctx context.Context) {
	for {
		p.mu.Lock()
		if len(p.waiting) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		b := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.mu.Unlock()
		p.read(ctx, b)
	}
}

func (p *proven) read(ctx context.Context, b *batch) {
	defer close(b.done)
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	b.revs, b.err = p.revisions(ctx, b.keys)
	if b.err == nil && len(b.revs) != len(b.keys) {
		b.err = fmt.Errorf("%d revisions for %d keys", len(b.revs), len(b.keys))
	}
}
