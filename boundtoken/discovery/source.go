package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"laterna.dev/laterna/boundtoken"
)

const (
	// Interval is the least time between two times that an issuer is asked and answers,
	// however many tokens name keys that are not known.
	Interval = 10 * time.Second
	// MinPause and MaxPause bound the time to the next attempt after one that failed;
	// every further failure doubles it.
	MinPause = time.Second
	MaxPause = time.Minute
)

// SourceConfig is what a source is made from.
type SourceConfig struct {
	Issuer boundtoken.Issuer
	// Client fetches the documents; nil is one that believes the machine's authorities.
	// Optional.
	Client *Client
	// Clock tells how old documents are; nil is the system's. Optional.
	Clock clock.PassiveClock
}

// Source is the keys of one issuer, fetched when they are needed. It is safe for
// concurrent use, and however many callers need the keys, one of them asks. It has no
// end: between calls nothing runs but, for at most twice Timeout, a request whose callers
// have given up.
type Source struct {
	issuer boundtoken.Issuer
	client *Client
	clock  clock.PassiveClock

	mu sync.Mutex
	// known are the documents of the last answer, nil before the first; asked is when
	// they were asked for.
	known *Documents
	asked time.Time
	// err is that of the last attempt; last is when it began, and pause the time from
	// there to the next.
	err      error
	last     time.Time
	pause    time.Duration
	failures int
	flight   chan struct{} // closed when the attempt that is under way ends; else nil
}

var _ boundtoken.Keys = (*Source)(nil)

// NewSource returns the keys of an issuer that can be discovered (see Check). It asks
// nobody yet.
func NewSource(c SourceConfig) (*Source, error) {
	if c.Issuer.IsZero() {
		return nil, errors.New("discovery: a source needs an issuer")
	}
	if err := Check(c.Issuer); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	s := &Source{issuer: c.Issuer, client: c.Client, clock: c.Clock}
	if s.client == nil {
		s.client = NewClient(ClientConfig{})
	}
	if s.clock == nil {
		s.clock = clock.RealClock{}
	}
	return s, nil
}

// Issuer returns the issuer whose keys these are.
func (s *Source) Issuer() boundtoken.Issuer { return s.issuer }

// Lookup implements boundtoken.Keys. It asks the issuer when its documents are not fresh
// any more or do not hold the key, unless it has been asked only just (see Interval), and
// then returns what it knows. While the issuer cannot be asked, documents count a while
// longer (see Grace); that a key is not in them is then an error, as it may exist. ctx
// ends the caller's wait, not the request that others wait for, too.
func (s *Source) Lookup(ctx context.Context, id string) ([]boundtoken.Key, error) {
	keys, answer, err := s.look(ctx, id, true)
	if answer == nil {
		return keys, err
	}
	select {
	case <-answer:
	case <-ctx.Done():
		return nil, fmt.Errorf("asking issuer %s for its keys: %w", s.issuer, context.Cause(ctx))
	}
	keys, _, err = s.look(ctx, id, false)
	return keys, err
}

// look returns the keys, or what to wait for where the issuer has to be asked, and may.
func (s *Source) look(ctx context.Context, id string, mayAsk bool) (keys []boundtoken.Key, answer <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	fresh, usable := s.state(now)
	if usable {
		keys = s.known.Keys.Find(id)
	}
	if fresh && (len(keys) > 0 || id == "") {
		return keys, nil, nil
	}
	if mayAsk && s.flight == nil && !within(s.last, now, s.pause) {
		s.begin(ctx, now)
	}
	if mayAsk && s.flight != nil {
		return nil, s.flight, nil
	}
	switch {
	case len(keys) == 0 && s.err != nil:
		return nil, nil, s.err
	case !usable: // the clock was set meanwhile
		return nil, nil, fmt.Errorf("the keys of issuer %s are out of date", s.issuer)
	}
	return keys, nil, nil
}

// state tells whether what is known counts without asking, and whether it counts at all.
func (s *Source) state(now time.Time) (fresh, usable bool) {
	if s.known == nil {
		return false, false
	}
	life := max(s.known.life.fresh, Interval)
	return within(s.asked, now, life), within(s.asked, now, life+s.known.life.grace)
}

// within tells whether now is less than d after a moment, and not before it: a clock that
// was set back proves nothing.
func within(since, now time.Time, d time.Duration) bool {
	passed := now.Sub(since)
	return passed >= 0 && passed < d
}

// begin asks the issuer, for all who wait. The caller holds mu.
func (s *Source) begin(ctx context.Context, now time.Time) {
	s.last, s.flight = now, make(chan struct{})
	ctx = context.WithoutCancel(ctx) // others may wait longer than the first
	go func() {
		documents, err := s.client.Fetch(ctx, s.issuer)
		s.end(documents, err)
	}()
}

// end notes what an attempt has brought.
func (s *Source) end(documents *Documents, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flight)
	s.flight = nil
	if err != nil {
		s.err = fmt.Errorf("asking issuer %s for its keys: %w", s.issuer, err)
		s.pause = min(MinPause<<min(s.failures, 10), MaxPause)
		s.failures++
		return
	}
	s.known, s.asked = documents, s.last
	s.err, s.failures, s.pause = nil, 0, Interval
}
