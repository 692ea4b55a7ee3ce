package review_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/review"
)

// ours is a server that hears late of what another one stored.
type ours struct {
	*system
	mu     sync.Mutex
	issuer string
	reads  atomic.Int32
}

func (o *ours) Accepted() []boundtoken.Issuer {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, err := boundtoken.ParseIssuer(o.issuer)
	if err != nil {
		return nil
	}
	return []boundtoken.Issuer{i}
}

func (o *ours) Keys(context.Context) (*jwks.Set, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set, nil
}

// confirm takes 5 ms and then applies what another server had stored before it began.
func (o *ours) confirm(stored func() func()) func(context.Context) {
	return func(context.Context) {
		o.reads.Add(1)
		apply := stored()
		time.Sleep(5 * time.Millisecond)
		o.mu.Lock()
		defer o.mu.Unlock()
		apply()
	}
}

func newOurs(t *testing.T, stored func(*ours) func()) *ours {
	t.Helper()
	o := &ours{system: newSystem(t), issuer: iss}
	confirm := o.confirm(func() func() { return stored(o) })
	var err error
	o.Authenticator, err = review.New(review.Config{
		Issuer: o, Keys: o, Objects: review.NewProven(o.store, o.store.revisions), Clock: clock.APIOf(o.clock), Wall: clock.Real(),
		ConfirmIssuer: confirm, ConfirmKeys: confirm,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Pods log in all together in the moment after a change: none is refused because
// another one's confirmation is under way, or was a moment ago.
func TestTokensOfTheSameMomentAreConfirmedTogether(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *ours) func(){
		"key": func(t *testing.T, o *ours) func() {
			o.signer = newSigner(t)
			set := jwks.New(o.signer.Key())
			return func() { o.set = set }
		},
		"issuer": func(_ *testing.T, o *ours) func() {
			o.issuers = []string{"https://new"}
			return func() { o.issuer = "https://new" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stored atomic.Value
				stored.Store(func() {})
				o := newOurs(t, func(*ours) func() { return stored.Load().(func()) })
				signer, issuers := o.signer, o.issuers
				change(t, o)
				foreign := o.mint(t, o.grant(pod)) // of a key, or an issuer, that nobody stores
				o.signer, o.issuers = signer, issuers
				var wg sync.WaitGroup
				login := func(token string, good bool) {
					wg.Go(func() {
						if _, err := o.check(token); (err == nil) != good {
							t.Errorf("%v", err)
						}
					})
				}
				login(foreign, false) // has a read begin before the change
				time.Sleep(time.Millisecond)
				stored.Store(change(t, o))
				good := o.mint(t, o.grant(pod))
				for range 10 {
					login(good, true)
					time.Sleep(time.Millisecond)
				}
				wg.Wait()
				if n := o.reads.Load(); n != 2 {
					t.Errorf("%d reads", n)
				}
			})
		})
	}
}

func TestTokensThatAreNoGoodDoNotMakeTheServerReadAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOurs(t, func(*ours) func() { return func() {} })
		o.signer = newSigner(t)
		token := o.mint(t, o.grant(pod))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := o.check(token); boundtoken.ReasonOf(err) != boundtoken.UnknownKey {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := o.reads.Load(); n > 21 {
			t.Errorf("%d reads in a second", n)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if _, _, err := o.AuthenticateToken(gone, token); err == nil || time.Since(start) > 0 {
			t.Errorf("who has gone waits %v: %v", time.Since(start), err)
		}
		time.Sleep(time.Second) // the read ends by itself
	})
}
