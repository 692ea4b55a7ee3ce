// Package presence tells when the store has the first key below a prefix, so that what
// nobody uses need not run: what works on objects of a kind begins with the first of them.
//
// It looks once at the beginning and then watches what is still empty. It never tells that
// the last key is gone.
package presence

import (
	"context"
	"fmt"
	"reflect"
	"slices"
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

// most is how many prefixes are asked for in one transaction; the store takes 128.
const most = 100

// Look reads which prefixes have keys, and returns a revision of the store before which that
// was so.
func (p *Presence) Look(ctx context.Context, client *clientv3.Client) (revision int64, err error) {
	for prefixes := range slices.Chunk(p.empty(), most) {
		ops := make([]clientv3.Op, len(prefixes))
		for i, prefix := range prefixes {
			ops[i] = clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
		}
		found, err := client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return 0, fmt.Errorf("reading which kinds have objects: %w", err)
		}
		for i, r := range found.Responses {
			if len(r.GetResponseRange().Kvs) > 0 {
				p.first[prefixes[i]].give()
			}
		}
		if revision == 0 {
			revision = found.Header.Revision
		}
	}
	return revision, nil
}

// empty are the prefixes of which no key has been seen.
func (p *Presence) empty() (all []string) {
	for prefix, s := range p.first {
		if !s.given() {
			all = append(all, prefix)
		}
	}
	return all
}

// pause is how long it takes until a store that could not be watched is tried again.
const pause = time.Second

// Run follows the prefixes that had no keys at a revision, until all have some or ctx ends.
func (p *Presence) Run(ctx context.Context, client *clientv3.Client, revision int64, wall clock.Wall) {
	for !p.follow(ctx, client, revision+1) && ctx.Err() == nil {
		wait.Pause(ctx, wall, pause)
		if at, err := p.Look(ctx, client); err == nil {
			revision = at
		}
	}
}

// follow returns true once all prefixes have keys, and false when the store cannot be
// watched. One goroutine looks at all of them: they are many and hardly ever change.
func (p *Presence) follow(ctx context.Context, client *clientv3.Client, from int64) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefixes := p.empty()
	ends, changes := make([]context.CancelFunc, len(prefixes)), make([]reflect.SelectCase, len(prefixes))
	for i, prefix := range prefixes {
		var life context.Context
		life, ends[i] = context.WithCancel(ctx)
		changes[i] = receive(client.Watch(life, prefix, clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithFilterDelete()))
	}
	for len(prefixes) > 0 {
		i, got, ok := reflect.Select(changes)
		r, _ := got.Interface().(clientv3.WatchResponse)
		switch {
		case !ok || r.Err() != nil:
			return false
		case len(r.Events) == 0:
			continue
		}
		p.first[prefixes[i]].give()
		ends[i]()
		prefixes, ends, changes = slices.Delete(prefixes, i, i+1), slices.Delete(ends, i, i+1), slices.Delete(changes, i, i+1)
	}
	return true
}

func receive(c clientv3.WatchChan) reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)}
}
