// Package fairshare admits requests by the memory that they hold.
//
// A Gate bounds what all requests hold at once and what those of one account do.
// Requests beyond that wait, each account in a queue of its own, and are refused
// after a while, so that no account starves another. A request that waits for its
// client to read gives way when others want what it holds.
//
// It owns the bookkeeping. What a request costs, whom it counts for and how a
// response is cut is internal/apiserver's to say.
package fairshare

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"laterna.dev/laterna/internal/clock"
)

// Config says how much a gate lets through. Every field is required.
type Config struct {
	// Total is how many bytes may be held at once, Account how many of them by one
	// account. A request that is larger passes when nothing else is held.
	Total, Account int64
	// Waiting is how many requests of one account may wait.
	Waiting int
	// Patience is how long a request waits before it is refused.
	Patience time.Duration
	// Stalled is how long a client may read nothing while others wait for what its
	// request holds.
	Stalled time.Duration
	Clock   clock.Wall
}

// ErrBusy is returned to requests that cannot be admitted in time.
var ErrBusy = errors.New("too many requests hold too much memory")

// Gate admits requests. Its methods may be called concurrently.
type Gate struct {
	config Config

	mu       sync.Mutex
	held     int64
	accounts map[string]*account
	// turns are the accounts with somebody waiting; the first is next.
	turns []*account
}

// account is what one account holds and who of it waits, the first to come first.
type account struct {
	name    string
	held    int64
	holders map[*Visit]struct{}
	waiting []*waiter
}

type waiter struct {
	visit    *Visit
	bytes    int64 // more than the visit already holds
	admitted chan struct{}
}

// New returns a gate through which nobody has gone.
func New(c Config) *Gate { return &Gate{config: c, accounts: map[string]*account{}} }

// Held returns how many bytes are held.
func (g *Gate) Held() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// of returns the account of a name. g.mu is held.
func (g *Gate) of(name string) *account {
	a := g.accounts[name]
	if a == nil {
		a = &account{name: name, holders: map[*Visit]struct{}{}}
		g.accounts[name] = a
	}
	return a
}

// give adds to what v holds. g.mu is held.
func (g *Gate) give(a *account, v *Visit, bytes int64) {
	g.held += bytes
	a.held += bytes
	v.held += bytes
	if v.held > 0 {
		a.holders[v] = struct{}{}
		return
	}
	delete(a.holders, v)
	if len(a.holders) == 0 && len(a.waiting) == 0 {
		delete(g.accounts, a.name)
	}
}

// accountFits and totalFits tell whether there is room for w, or nothing but what
// its own request holds. g.mu is held.
func (g *Gate) accountFits(a *account, w *waiter) bool {
	return a.held == w.visit.held || a.held+w.bytes <= g.config.Account
}

func (g *Gate) totalFits(w *waiter) bool {
	return g.held == w.visit.held || g.held+w.bytes <= g.config.Total
}

// admit lets in whoever there is room for, account by account. An account that has
// reached its own bound is passed over; for the common bound nobody is, or a large
// request would wait for ever. g.mu is held.
func (g *Gate) admit() {
	for i := 0; i < len(g.turns); {
		a := g.turns[i]
		w := a.waiting[0]
		if !g.accountFits(a, w) {
			i++
			continue
		}
		if !g.totalFits(w) {
			return
		}
		a.waiting = a.waiting[1:]
		g.turns = slices.Delete(g.turns, i, i+1)
		if len(a.waiting) > 0 {
			g.turns = append(g.turns, a)
		}
		if w.visit.left { // its handler has been given up
			w.bytes = 0
		}
		g.give(a, w.visit, w.bytes)
		close(w.admitted)
		i = 0
	}
}

// enqueue lets w wait, unless too many of its account do.
func (g *Gate) enqueue(name string, w *waiter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.of(name)
	if len(a.waiting) >= g.config.Waiting {
		return ErrBusy
	}
	a.waiting = append(a.waiting, w)
	if len(a.waiting) == 1 {
		g.turns = append(g.turns, a)
	}
	g.admit()
	return nil
}

// leave ends the wait of w and tells whether it had been admitted by then.
func (g *Gate) leave(name string, w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.of(name)
	i := slices.Index(a.waiting, w)
	if i < 0 {
		return true
	}
	a.waiting = slices.Delete(a.waiting, i, i+1)
	if len(a.waiting) == 0 {
		g.turns = slices.DeleteFunc(g.turns, func(t *account) bool { return t == a })
	}
	g.give(a, w.visit, 0)
	g.admit()
	return false
}

// wait returns once w is admitted. From time to time it makes the request that has
// waited longest for its client give way.
func (g *Gate) wait(ctx context.Context, name string, w *waiter) error {
	select {
	case <-w.admitted:
		return nil
	default:
	}
	patience := g.config.Clock.NewTimer(g.config.Patience)
	defer patience.Stop()
	look := g.config.Clock.NewTicker(max(g.config.Stalled/4, time.Millisecond))
	defer look.Stop()
	for {
		err := ErrBusy
		select {
		case <-w.admitted:
			return nil
		case <-look.C():
			if v := g.stalled(name, w); v != nil {
				v.cut()
			}
			continue
		case <-patience.C():
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if g.leave(name, w) {
			return nil
		}
		return err
	}
}

// stalled returns the request whose client has read nothing for the longest time,
// among those that w waits for; nil if all go on.
func (g *Gate) stalled(name string, w *waiter) (longest *Visit) {
	now := g.config.Clock.Now()
	oldest := now.Add(-g.config.Stalled).UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.of(name)
	defer g.give(a, w.visit, 0)
	among := map[string]*account{name: a}
	if g.accountFits(a, w) {
		among = g.accounts
	}
	for _, a := range among {
		for v := range a.holders {
			if since := v.stuck.Load(); since != 0 && since <= oldest && v != w.visit {
				longest, oldest = v, since
			}
		}
	}
	return longest
}
