package fairshare

import (
	"context"
	"sync/atomic"
	"time"
)

// Visit is one request at a gate. Its methods may be called concurrently.
type Visit struct {
	gate    *Gate
	account string
	cut     func()
	held    int64 // guarded by gate.mu
	left    bool  // guarded by gate.mu
	// stuck is since when the client has read nothing, in Unix nanoseconds; 0 while
	// the request does not wait for it.
	stuck atomic.Int64
}

// Visit returns a request of an account that holds nothing yet. cut ends its
// response; it may be called more than once.
func (g *Gate) Visit(account string, cut func()) *Visit {
	return &Visit{gate: g, account: account, cut: cut}
}

// Hold waits until the request may hold that many bytes in all. It returns ErrBusy
// when that took too long, or the cause of the end of ctx.
func (v *Visit) Hold(ctx context.Context, bytes int64) error {
	g := v.gate
	g.mu.Lock()
	more, left := bytes-v.held, v.left
	g.mu.Unlock()
	if more <= 0 || left {
		return nil
	}
	w := &waiter{visit: v, bytes: more, admitted: make(chan struct{})}
	if err := g.enqueue(v.account, w); err != nil {
		return err
	}
	return g.wait(ctx, v.account, w)
}

// Settle says what the request holds in truth, which others may then have or must
// do without. It does not wait.
func (v *Visit) Settle(bytes int64) {
	v.settle(bytes, false)
}

// Leave ends the request: it holds nothing any more and never will.
func (v *Visit) Leave() { v.settle(0, true) }

func (v *Visit) settle(bytes int64, leave bool) {
	g := v.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.left {
		return
	}
	v.left = leave
	if bytes == v.held {
		return
	}
	g.give(g.of(v.account), v, bytes-v.held)
	g.admit()
}

// Writes says that the request waits for its client from now on, and Wrote that it
// does not.
func (v *Visit) Writes(now time.Time) { v.stuck.Store(now.UnixNano()) }
func (v *Visit) Wrote()               { v.stuck.Store(0) }

// Stuck returns since when the client has read nothing; false if it reads or
// nothing is to be read.
func (v *Visit) Stuck() (time.Time, bool) {
	since := v.stuck.Load()
	return time.Unix(0, since), since != 0
}
