package imagepull

import (
	"context"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// long is after how much time a pull gives its place to others: a registry that does not
// answer must not keep pods from images of other registries.
const long = 2 * time.Minute

// places bounds the pulls that go on at a time: of all registries together, and of each,
// where a pull keeps its place until it ends. Who waits is served in no certain order.
type places struct {
	clock clock.Wall
	all   chan struct{}
	size  int

	mu         sync.Mutex
	registries map[string]*registry
}

// registry has the places of one registry, while somebody uses them.
type registry struct {
	places chan struct{}
	users  int
}

func newPlaces(size int, clk clock.Wall) *places {
	return &places{clock: clk, all: make(chan struct{}, size), size: size, registries: map[string]*registry{}}
}

// take waits for a place, or until ctx ends; free gives it up.
func (p *places) take(ctx context.Context, host string) (free func(), ok bool) {
	r := p.enter(host)
	select {
	case r.places <- struct{}{}:
	case <-ctx.Done():
		p.leave(host, r)
		return nil, false
	}
	select {
	case p.all <- struct{}{}:
	case <-ctx.Done():
		<-r.places
		p.leave(host, r)
		return nil, false
	}
	give := sync.OnceFunc(func() { <-p.all })
	ended := make(chan struct{})
	go func() {
		timer := p.clock.NewTimer(long)
		defer timer.Stop()
		select {
		case <-timer.C():
			give()
		case <-ended:
		}
	}()
	return func() {
		close(ended)
		give()
		<-r.places
		p.leave(host, r)
	}, true
}

func (p *places) enter(host string) *registry {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.registries[host]
	if r == nil {
		r = &registry{places: make(chan struct{}, p.size)}
		p.registries[host] = r
	}
	r.users++
	return r
}

func (p *places) leave(host string, r *registry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.users--; r.users == 0 {
		delete(p.registries, host)
	}
}
