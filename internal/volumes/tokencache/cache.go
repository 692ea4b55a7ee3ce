package tokencache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
)

const (
	// attemptTime bounds one TokenRequest, in real time.
	attemptTime = 30 * time.Second
	// parallel bounds the TokenRequests under way, for the day that all tokens are to
	// be replaced at once.
	parallel = 16
)

// Config of a cache. All fields are required.
type Config struct {
	// Client must not limit its own rate: a pod's start waits for these requests.
	Client kubernetes.Interface
	// Clock is the one that tokens live by; it may jump.
	Clock clock.API
	// Wall is the time that passes, by which jumps of Clock are noticed.
	Wall clock.Wall
	Log  *slog.Logger
}

// Cache keeps tokens. Its methods may be called concurrently.
type Cache struct {
	ctx    context.Context
	client kubernetes.Interface
	clock  clock.API
	wall   clock.Wall
	log    *slog.Logger
	slots  chan struct{}

	mu      sync.Mutex // guards the fields below and those of entries that say so
	serial  uint64     // of the last request to the API
	entries map[Request]*entry
	told    map[*subscription]struct{}
}

type subscription struct{ changed func(Request) }

// New returns an empty cache. The end of ctx stops all refreshing.
func New(ctx context.Context, cfg Config) *Cache {
	c := &Cache{
		ctx: ctx, client: cfg.Client, clock: cfg.Clock, wall: cfg.Wall, log: cfg.Log,
		slots:   make(chan struct{}, parallel),
		entries: map[Request]*entry{}, told: map[*subscription]struct{}{},
	}
	go c.watchClock()
	return c
}

// entry is one token.
type entry struct {
	request Request
	asking  chan struct{} // held by the one who asks the API

	// Guarded by the cache's mutex.
	token   Token
	have    bool
	err     error // why the last refresh failed
	tries   int   // refreshes since the last one that was good
	timer   clock.Timer
	dropped bool
	// wanted is what Renew was last given for it, until it is heeded; renewing says
	// that a goroutine heeds it.
	wanted   func(Request, Token) bool
	renewing bool
}

// Token returns the token for a request, asking the API only if there is none or it
// is due for refresh. From then on it is kept fresh until DropPod. While a refresh
// fails the old token is returned until it expires; then the error reads
// `token … expired and refresh failed: …`. Without a token at all it reads
// `failed to fetch token: …`.
func (c *Cache) Token(ctx context.Context, r Request) (Token, error) {
	e := c.entry(r)
	if token, ok := c.fresh(e); ok {
		return token, nil
	}
	select {
	case e.asking <- struct{}{}:
		defer func() { <-e.asking }()
	case <-ctx.Done():
		return Token{}, fmt.Errorf("failed to fetch token: %w", context.Cause(ctx))
	}
	if token, ok := c.fresh(e); ok { // somebody else asked meanwhile
		return token, nil
	}
	c.ask(ctx, e)
	return c.current(e)
}

// Peek returns what Token would, without asking the API; known is false when there
// is nothing yet.
func (c *Cache) Peek(r Request) (token Token, err error, known bool) {
	c.mu.Lock()
	e := c.entries[r]
	c.mu.Unlock()
	if e == nil {
		return Token{}, nil, false
	}
	c.mu.Lock()
	known = e.have
	c.mu.Unlock()
	if !known {
		return Token{}, nil, false
	}
	token, err = c.current(e)
	return token, err, true
}

// Subscribe has changed called whenever a request has a new token, or its token
// expired while the refresh fails. The call comes on the goroutine that asked the
// API and must return quickly. It ends with cancel.
func (c *Cache) Subscribe(changed func(Request)) (cancel func()) {
	s := &subscription{changed}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[s] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.told, s)
	}
}

// DropPod forgets the tokens of a pod and stops refreshing them.
func (c *Cache) DropPod(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r, e := range c.entries {
		if r.PodUID != uid {
			continue
		}
		e.dropped = true
		if e.timer != nil {
			e.timer.Stop()
		}
		delete(c.entries, r)
	}
}

func (c *Cache) entry(r Request) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[r]
	if e == nil {
		e = &entry{request: r, asking: make(chan struct{}, 1)}
		c.entries[r] = e
	}
	return e
}

// fresh returns the token if it need not be replaced.
func (c *Cache) fresh(e *entry) (Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.token, e.have && !e.token.due(c.clock.Now())
}

// current returns the best there is, or why there is nothing.
func (c *Cache) current(e *entry) (Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !e.have:
		return Token{}, fmt.Errorf("failed to fetch token: %w", e.err)
	case e.err != nil && c.clock.Now().After(e.token.Expires):
		return Token{}, fmt.Errorf("token %s expired and refresh failed: %w", e.request, e.err)
	}
	return e.token, nil
}

// ask requests a token and stores what comes of it. The caller holds e.asking.
func (c *Cache) ask(ctx context.Context, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	c.mu.Lock()
	c.serial++
	serial := c.serial
	c.mu.Unlock()
	answer, err := c.client.CoreV1().ServiceAccounts(e.request.Namespace).
		CreateToken(ctx, e.request.ServiceAccount, e.request.object(), metav1.CreateOptions{})
	now := c.clock.Now()
	c.mu.Lock()
	e.err = err
	if err == nil {
		e.token, e.have = newToken(answer), true
		e.token.serial, e.token.received = serial, now
	}
	if e.tries++; err == nil && !e.token.due(now) {
		e.tries = 0
	}
	expired := e.have && now.After(e.token.Expires)
	if e.have && !e.dropped && c.ctx.Err() == nil {
		c.schedule(e, now)
	}
	var calls []func(Request)
	for s := range c.told {
		if (err == nil || expired) && !e.dropped {
			calls = append(calls, s.changed)
		}
	}
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("fetching a token was refused", "token", e.request.String(), "expired", expired, "error", err)
	}
	for _, call := range calls {
		call(e.request)
	}
}
