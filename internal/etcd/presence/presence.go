// Package presence tells when the store has the first key below a prefix, so that what
// nobody uses need not run: what works on objects of a kind begins with the first of them.
//
// It looks once at the beginning and then watches what is still empty. It never tells that
// the last key is gone.
package presence

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/wait"
)

// Presence follows some prefixes. Its methods may be called concurrently.
type Presence struct {
	first map[string]*signal
}

// signal is closed once.
type signal struct {
	seen chan struct{}
	once sync.Once
}

func (s *signal) give() { s.once.Do(func() { close(s.seen) }) }

func (s *signal) given() bool {
	select {
	case <-s.seen:
		return true
	default:
		return false
	}
}

// New returns what will follow prefixes.
func New(prefixes ...string) *Presence {
	p := &Presence{first: map[string]*signal{}}
	for _, prefix := range prefixes {
		p.first[prefix] = &signal{seen: make(chan struct{})}
	}
	return p
}

// First returns what is closed once there is a key below prefix. Of a prefix that is not
// followed it says so at once: who asks must not wait in vain.
func (p *Presence) First(prefix string) <-chan struct{} {
	if s, ok := p.first[prefix]; ok {
		return s.seen
	}
	known := &signal{seen: make(chan struct{})}
	known.give()
	return known.seen
}

// Look reads which prefixes have keys, and returns the revision of the store at which that
// was so.
func (p *Presence) Look(ctx context.Context, client *clientv3.Client) (revision int64, err error) {
	var ops []clientv3.Op
	var asked []*signal
	for prefix, s := range p.first {
		if !s.given() {
			ops, asked = append(ops, clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))), append(asked, s)
		}
	}
	found, err := client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return 0, fmt.Errorf("reading which kinds have objects: %w", err)
	}
	for i, r := range found.Responses {
		if len(r.GetResponseRange().Kvs) > 0 {
			asked[i].give()
		}
	}
	return found.Header.Revision, nil
}

// pause is how long it takes until a store that could not be watched is tried again.
const pause = time.Second

// Run follows the prefixes that had no keys at a revision, until all have some or ctx ends.
func (p *Presence) Run(ctx context.Context, client *clientv3.Client, revision int64, wall clock.Wall) {
	var all sync.WaitGroup
	for prefix, s := range p.first {
		if s.given() {
			continue
		}
		all.Go(func() {
			for from := revision; !follow(ctx, client, prefix, from+1, s) && ctx.Err() == nil; {
				wait.Pause(ctx, wall, pause)
				if at, err := p.Look(ctx, client); err == nil {
					from = at
				}
			}
		})
	}
	all.Wait()
}

// follow returns true once there is a key, and false when the store cannot be watched.
func follow(ctx context.Context, client *clientv3.Client, prefix string, from int64, s *signal) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithFilterDelete())
	for {
		select {
		case <-s.seen:
			return true
		case r, ok := <-changes:
			if !ok || r.Err() != nil {
				return false
			}
			if len(r.Events) > 0 {
				s.give()
				return true
			}
		}
	}
}
