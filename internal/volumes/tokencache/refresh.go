package tokencache

import (
	"math/rand/v2"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/wait"
)

const (
	maxAge    = 24 * time.Hour
	maxJitter = 10 * time.Second
)

var retries = wait.Backoff{First: 250 * time.Millisecond, Most: 30 * time.Second}

// newToken reads a server's answer. A token is replaced at 80 % of its life or after
// 24 hours, whichever is first, up to 10 s before that so that many do not come at
// once.
func newToken(t *authenticationv1.TokenRequest) Token {
	token := Token{Token: boundtoken.NewToken(t.Status.Token), Expires: t.Status.ExpirationTimestamp.Time}
	if t.Spec.ExpirationSeconds == nil {
		return token
	}
	life := *t.Spec.ExpirationSeconds
	token.Issued = token.Expires.Add(-time.Duration(life) * time.Second)
	token.Refresh = token.Expires.Add(-time.Duration(life*20/100) * time.Second)
	if day := token.Issued.Add(maxAge); day.Before(token.Refresh) {
		token.Refresh = day
	}
	token.Refresh = token.Refresh.Add(-rand.N(maxJitter))
	return token
}

// due tells whether the token is to be replaced at now. One that is yet to come is: the
// clock was set back, and verifiers refuse it. That the issuer's clock is ahead of this
// one is no reason: the next token would be no better.
func (t Token) due(now time.Time) bool {
	const leeway = time.Minute
	return !t.Refresh.IsZero() && (!now.Before(t.Refresh) || now.Add(leeway).Before(t.received))
}

// schedule sets the timer of the next refresh: at the token's time, or after a pause
// that grows when refreshing fails or yields tokens that are due at once. The caller
// holds mu.
func (c *Cache) schedule(e *entry, now time.Time) {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	if e.token.Refresh.IsZero() {
		return
	}
	if e.tries == 0 && e.token.due(now) { // the clock was set
		go c.refresh(e, nil)
		return
	}
	pause := e.token.Refresh.Sub(now)
	if e.tries > 0 {
		pause = wait.Spread(retries.After(e.tries), 4)
	}
	// Own goroutine: a test's clock may call back with its lock held.
	e.timer = c.clock.AfterFunc(pause, func() { go c.refresh(e, nil) })
}

// refresh replaces a token if it is due, or if also, when given, says so.
func (c *Cache) refresh(e *entry, also func(Request, Token) bool) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.ctx.Done():
		return
	}
	e.asking <- struct{}{}
	defer func() { <-e.asking }()
	c.mu.Lock()
	needed := !e.dropped && e.have && (e.err != nil || e.token.due(c.clock.Now()) || also != nil && also(e.request, e.token))
	c.mu.Unlock()
	if !needed {
		return
	}
	c.ask(c.ctx, e)
}
