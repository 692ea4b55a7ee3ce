package webidentity

import (
	"context"
	"strings"
	"sync"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/clock"
)

const (
	// pause is the least time between two times that an issuer is asked, however many
	// tokens name keys that are not known.
	pause = time.Second
	// maxIssuers is how many issuers' keys are kept, with their thumbprints.
	maxIssuers = 200
	// MaxAge is how long keys count at most, whatever the issuer says: AWS's own bound is
	// not known.
	MaxAge = time.Hour
)

// Faults are what a test makes of the way to issuers; see Source.SetFaults.
type Faults struct {
	// Delay is added to the time that an issuer takes.
	Delay time.Duration
	// Fail makes every attempt fail.
	Fail bool
}

// Source are the keys of all issuers, fetched when they are needed, one caller asking for
// all. It is safe for concurrent use; between calls nothing runs.
type Source struct {
	network Network
	clock   clock.API
	faults  func() Faults

	mu    sync.Mutex
	known map[string]*published
}

// published are the keys of an issuer, as a provider's thumbprints have it trusted.
type published struct {
	used time.Time // the last use, for the one who makes room; belongs to Source.mu

	mu sync.Mutex
	// keys are those of the last answer, nil before the first; they count for fresh after
	// asked.
	keys  *keySet
	asked time.Time
	fresh time.Duration
	// tried is when the last attempt ended, and err how; flight is closed when the one that
	// is under way ends, else nil.
	tried  time.Time
	err    error
	flight chan struct{}
}

// newSource returns keys of nobody yet.
func newSource(n Network, c clock.API, faults func() Faults) *Source {
	return &Source{network: n, clock: c, faults: faults, known: map[string]*published{}}
}

// found is what came of looking for a key.
type found struct {
	key key
	ok  bool
	// names are those of all keys that the issuer publishes; age is how long ago it was asked.
	names []string
	age   time.Duration
}

// find returns the key that can have signed a token, of the issuer of a provider. An issuer
// is asked again when its keys are too old, or do not hold the one, but see pause. An error
// is that it could not be asked.
func (s *Source) find(ctx context.Context, p *iam.Provider, t *token) (found, error) {
	issuer, err := boundtoken.ParseIssuer("https://" + p.URL)
	if err != nil {
		return found{}, err
	}
	e := s.entry(p)
	f, flight, mine, err := e.look(t, s.clock.Now(), true)
	if flight == nil {
		return f, err
	}
	if mine {
		s.ask(ctx, e, issuer, p.Thumbprints)
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return found{}, context.Cause(ctx)
	}
	f, _, _, err = e.look(t, s.clock.Now(), false)
	return f, err
}

// look returns the key, or what to wait for where the issuer has to be asked, and may;
// mine says that it is the caller who asks.
func (e *published) look(t *token, now time.Time, may bool) (f found, flight chan struct{}, mine bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	passed := now.Sub(e.asked)
	fresh := e.keys != nil && passed >= 0 && passed < max(e.fresh, pause)
	if fresh {
		f = found{names: e.keys.ids, age: passed}
		if f.key, f.ok = e.keys.of(t); f.ok {
			return f, nil, false, nil
		}
	}
	since := now.Sub(e.tried)
	recent := !e.tried.IsZero() && since >= 0 && since < pause
	switch {
	case may && e.flight != nil:
		return found{}, e.flight, false, nil
	case may && !recent:
		e.flight = make(chan struct{})
		return found{}, e.flight, true, nil
	case e.err != nil:
		return found{}, nil, false, e.err
	case !fresh:
		return found{}, nil, false, errStale
	}
	return f, nil, false, nil
}

// ask fetches the keys of an issuer for all who wait: the caller's end does not end it.
func (s *Source) ask(ctx context.Context, e *published, issuer boundtoken.Issuer, thumbprints []string) {
	began := s.clock.Now()
	keys, fresh, err := s.fetch(context.WithoutCancel(ctx), issuer, thumbprints)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried, e.err = s.clock.Now(), err // the end: who waited for an issuer that is slow does not ask at once again
	if err == nil {
		e.keys, e.fresh, e.asked = keys, fresh, began
	}
	close(e.flight)
	e.flight = nil
}

func (s *Source) fetch(ctx context.Context, issuer boundtoken.Issuer, thumbprints []string) (*keySet, time.Duration, error) {
	if err := s.suffer(); err != nil {
		return nil, 0, err
	}
	documents, err := s.network.fetch(ctx, issuer, thumbprints)
	if err != nil {
		return nil, 0, err
	}
	keys, err := readKeys(documents.KeySet)
	if err != nil {
		return nil, 0, err
	}
	return keys, min(documents.Fresh(), MaxAge), nil
}

// suffer is what a test wants to go wrong.
func (s *Source) suffer() error {
	f := s.faults()
	if f.Delay > 0 {
		timer := s.network.Wall.NewTimer(min(f.Delay, Timeout))
		<-timer.C()
	}
	if f.Fail {
		return errFault
	}
	if f.Delay >= Timeout {
		return errSlow
	}
	return nil
}

// entry returns what is known of an issuer with a provider's thumbprints.
func (s *Source) entry(p *iam.Provider) *published {
	id := p.URL + "\n" + strings.Join(p.Thumbprints, "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[id]
	if e == nil {
		if len(s.known) >= maxIssuers {
			s.forget()
		}
		e = &published{}
		s.known[id] = e
	}
	e.used = s.network.Wall.Now()
	return e
}

// forget drops the issuer that was not used for the longest time. The caller holds mu.
func (s *Source) forget() {
	var oldest string
	for id, e := range s.known {
		if oldest == "" || e.used.Before(s.known[oldest].used) {
			oldest = id
		}
	}
	delete(s.known, oldest)
}
