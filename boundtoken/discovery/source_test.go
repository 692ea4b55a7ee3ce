package discovery_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
)

// newSource returns the keys of a site, and the clock that they age by.
func newSource(t *testing.T, s *site) (*discovery.Source, *clocktesting.FakeClock) {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	source, err := discovery.NewSource(discovery.SourceConfig{Issuer: s.issuer, Client: s.client(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return source, clock
}

// want checks how many keys a source has for an ID, and how often the site was asked.
func want(t *testing.T, source *discovery.Source, s *site, id string, keys, times int) {
	t.Helper()
	found, err := source.Lookup(t.Context(), id)
	if err != nil || len(found) != keys {
		t.Errorf("%d keys, %v; want %d", len(found), err, keys)
	}
	if got := s.times(); got != times {
		t.Errorf("the site was asked %d times, want %d", got, times)
	}
}

func TestSourceVerifiesTokens(t *testing.T) {
	signer := newSigner(t)
	s := newSite(t, signer.Key())
	source, clock := newSource(t, s)
	c := boundtoken.NewClaims(boundtoken.Grant{
		Namespace: "default", ServiceAccount: boundtoken.Ref{Name: "robot", UID: "u"}, Audience: []string{"vault"}, Lifetime: time.Hour,
	}, clock.Now())
	c.Issuer = source.Issuer().String()
	token, err := boundtoken.Mint(t.Context(), signer, c)
	if err != nil {
		t.Fatal(err)
	}
	expected := boundtoken.Expected{Issuers: []boundtoken.Issuer{source.Issuer()}, Audiences: []string{"vault"}, Keys: source, Time: clock.Now()}
	if v, err := boundtoken.Verify(t.Context(), token.Reveal(), expected); err != nil || v.Subject.Name() != "robot" {
		t.Errorf("%+v, %v", v, err)
	}
	s.set(func() { s.keys = nil })
	clock.Step(discovery.DefaultAge)
	if _, err := boundtoken.Verify(t.Context(), token.Reveal(), expected); boundtoken.ReasonOf(err) != boundtoken.UnknownKey {
		t.Errorf("a key that was withdrawn: %v", err)
	}
	s.set(func() { s.down = true })
	clock.Step(discovery.DefaultAge)
	if _, err := boundtoken.Verify(t.Context(), token.Reveal(), expected); err == nil || boundtoken.ReasonOf(err) != "" {
		t.Errorf("an issuer that is down: %v", err)
	}
}

func TestKeysAreKeptAsLongAsTheIssuerAllows(t *testing.T) {
	key := newSigner(t).Key()
	s := newSite(t, key)
	s.cacheControl = "max-age=120"
	source, clock := newSource(t, s)
	want(t, source, s, key.ID, 1, 1)
	clock.Step(119 * time.Second)
	want(t, source, s, key.ID, 1, 1)
	want(t, source, s, "", 1, 1)
	clock.Step(time.Second)
	want(t, source, s, key.ID, 1, 2)
	s.set(func() { s.cacheControl = "no-store" })
	clock.Step(2 * time.Minute)
	want(t, source, s, key.ID, 1, 3)
	clock.Step(discovery.Interval - time.Millisecond)
	want(t, source, s, key.ID, 1, 3)
	clock.Step(time.Millisecond)
	want(t, source, s, key.ID, 1, 4)
	clock.SetTime(clock.Now().Add(-time.Hour)) // what was kept proves nothing now
	want(t, source, s, key.ID, 1, 5)
}

func TestUnknownKeysAreAskedForAtABoundedRate(t *testing.T) {
	old, fresh := newSigner(t).Key(), newSigner(t).Key()
	s := newSite(t, old)
	source, clock := newSource(t, s)
	want(t, source, s, old.ID, 1, 1)
	s.set(func() { s.keys = append(s.keys, fresh) })
	for range 100 {
		want(t, source, s, "made up", 0, 1)
	}
	want(t, source, s, fresh.ID, 0, 1)
	clock.Step(discovery.Interval)
	want(t, source, s, fresh.ID, 1, 2)
	for range 100 {
		want(t, source, s, "made up", 0, 2)
	}
	clock.Step(discovery.Interval)
	want(t, source, s, fresh.ID, 1, 2)
	want(t, source, s, "made up", 0, 3)
}

func TestOneOfManyAsks(t *testing.T) {
	key := newSigner(t).Key()
	s := newSite(t, key)
	s.hold = make(chan struct{})
	source, _ := newSource(t, s)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if found, err := source.Lookup(t.Context(), key.ID); err != nil || len(found) != 1 {
				t.Errorf("%d keys, %v", len(found), err)
			}
		})
	}
	hurried, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := source.Lookup(hurried, key.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller without time: %v", err)
	}
	close(s.hold)
	all.Wait()
	if got := s.times(); got != 1 {
		t.Errorf("the site was asked %d times by 101 callers", got)
	}
}

func TestCallerThatGivesUpEndsNobodysWait(t *testing.T) {
	key := newSigner(t).Key()
	s := newSite(t, key)
	s.hold = make(chan struct{})
	source, _ := newSource(t, s)
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := source.Lookup(first, key.ID)
		gone <- err
	}()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	close(s.hold)
	want(t, source, s, key.ID, 1, 1)
}

func TestIssuerThatIsDownIsAskedLessAndLess(t *testing.T) {
	key := newSigner(t).Key()
	s := newSite(t, key)
	s.cacheControl = "max-age=60"
	source, clock := newSource(t, s)
	want(t, source, s, key.ID, 1, 1)
	s.set(func() { s.down = true })
	asked := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asked[documentPath]
	}
	clock.Step(time.Minute)
	before, pause := asked(), discovery.MinPause
	for range 10 {
		for range 10 { // the keys of the last answer count meanwhile
			want(t, source, s, key.ID, 1, 1)
		}
		if before++; asked() != before {
			t.Fatalf("asked %d times, want %d with pauses of %s", asked(), before, pause)
		}
		if _, err := source.Lookup(t.Context(), "another"); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable") {
			t.Errorf("a key that may exist: %v", err)
		}
		clock.Step(pause)
		pause = min(2*pause, discovery.MaxPause)
	}
	clock.Step(discovery.Grace)
	if found, err := source.Lookup(t.Context(), key.ID); err == nil {
		t.Errorf("%d keys after an hour without the issuer", len(found))
	}
	s.set(func() { s.down = false })
	clock.Step(discovery.MaxPause)
	want(t, source, s, key.ID, 1, 2)
	clock.Step(time.Minute)
	s.set(func() { s.down, s.cacheControl = true, "" })
	want(t, source, s, key.ID, 1, 2)
	s.set(func() { s.down, s.cacheControl = false, "max-age=60, must-revalidate" })
	clock.Step(discovery.MinPause)
	want(t, source, s, key.ID, 1, 3)
	s.set(func() { s.down = true })
	clock.Step(time.Minute)
	if found, err := source.Lookup(t.Context(), key.ID); err == nil {
		t.Errorf("%d keys that must be asked for again", len(found))
	}
}
