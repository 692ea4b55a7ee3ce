package issuer

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// State is which issuer signs and which others are trusted, as operators set it while
// the server runs. The zero value is what the flags say.
type State struct {
	// Active is the issuer of new tokens; "" means the first of the flags.
	Active string
	// Trusted are other issuers whose tokens are accepted.
	Trusted []Trust
}

// Trust is an issuer whose tokens are accepted for a while.
type Trust struct {
	Issuer string
	// Until is when that ends; the zero time means never.
	Until time.Time
}

// trust is Trust with an issuer that has been looked at.
type trust struct {
	issuer boundtoken.Issuer
	until  time.Time
}

// Apply takes a state over: at once for everything that starts afterwards. Issuers of
// the flags but the first stay accepted whatever it says. A state with an issuer that
// the flag would not take is refused, and the earlier one stays. It is not called
// concurrently.
func (s *Set) Apply(state State) error {
	if state.Active == "" {
		state.Active = s.config.Issuers[0]
	}
	var all []trust
	for _, t := range slices.Concat([]Trust{{Issuer: state.Active}}, state.Trusted, trusts(s.config.Issuers[1:])) {
		name, err := boundtoken.ParseIssuer(t.Issuer)
		if err != nil {
			return fmt.Errorf("service account %v", err)
		}
		i := slices.IndexFunc(all, func(known trust) bool { return known.issuer == name })
		switch {
		case i < 0:
			all = append(all, trust{name, t.Until})
		case t.Until.IsZero() || !all[i].until.IsZero() && t.Until.After(all[i].until):
			all[i].until = t.Until
		}
	}
	now := s.config.Clock.Now()
	next := s.look(all, now)
	next.former = formers(s.view.Load(), all, now)
	s.view.Store(next)
	return nil
}

// maxFormers bounds how many issuers are remembered for messages.
const maxFormers = 32

// formers are the issuers that were trusted and are not in all, with the end of that.
func formers(old *view, all []trust, now time.Time) (former []trust) {
	if old == nil {
		return nil
	}
	for _, t := range append(slices.Clone(old.all), old.former...) {
		if slices.ContainsFunc(all, func(known trust) bool { return known.issuer == t.issuer }) {
			continue
		}
		if t.until.IsZero() || t.until.After(now) {
			t.until = now
		}
		former = append(former, t)
	}
	return former[:min(len(former), maxFormers)]
}

func trusts(issuers []string) (all []Trust) {
	for _, i := range issuers {
		all = append(all, Trust{Issuer: i})
	}
	return all
}

// view is a state as it is between two moments.
type view struct {
	all    []trust // active first, each once
	former []trust // latest first; only to say until when they were trusted
	// from and to bound the time for which the rest is right; zero is no bound.
	from, to  time.Time
	accepted  []boundtoken.Issuer
	audiences []string
}

func (s *Set) look(all []trust, now time.Time) *view {
	v := &view{all: all}
	for _, t := range all {
		switch {
		case t.until.IsZero():
		case now.Before(t.until):
			if v.to.IsZero() || t.until.Before(v.to) {
				v.to = t.until
			}
		default:
			if t.until.After(v.from) {
				v.from = t.until
			}
			continue
		}
		v.accepted = append(v.accepted, t.issuer)
	}
	v.audiences = s.config.APIAudiences
	if len(v.audiences) == 0 {
		for _, i := range v.accepted {
			v.audiences = append(v.audiences, i.String())
		}
	}
	return v
}

func (v *view) holds(now time.Time) bool {
	return (v.from.IsZero() || !now.Before(v.from)) && (v.to.IsZero() || now.Before(v.to))
}

// now returns the state as it is at this moment.
func (s *Set) now() *view {
	for {
		v, now := s.view.Load(), s.config.Clock.Now()
		if v.holds(now) {
			return v
		}
		next := s.look(v.all, now)
		next.former = v.former
		s.view.CompareAndSwap(v, next)
	}
}

// Active returns the issuer of new tokens.
func (s *Set) Active() string { return s.now().accepted[0].String() }

// Accepted returns the issuers whose tokens are accepted, Active first. The
// result must not be changed.
func (s *Set) Accepted() []boundtoken.Issuer { return s.now().accepted }

// APIAudiences returns the audiences that the API server answers to. The result
// must not be changed.
func (s *Set) APIAudiences() []string { return s.now().audiences }

// WasTrusted returns until when an issuer's tokens were accepted; ok is false for one
// that never was, as far as is known, and for one that is.
func (s *Set) WasTrusted(issuer string) (until time.Time, ok bool) {
	v, now := s.view.Load(), s.config.Clock.Now()
	for _, t := range append(slices.Clone(v.all), v.former...) {
		if t.issuer.String() == issuer && !t.until.IsZero() && !now.Before(t.until) {
			return t.until, true
		}
	}
	return time.Time{}, false
}

// Hosts returns the names, without ports, under which relying parties reach the
// accepted issuers: a serving certificate should cover them.
func (s *Set) Hosts() (hosts []string) {
	for _, i := range s.Accepted() {
		u, err := url.Parse(i.String())
		if err != nil || i.Discoverable() != nil {
			continue
		}
		if host := strings.ToLower(u.Hostname()); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// keySetURI is where the keys of an issuer's tokens are: what the flag says, this
// server's own address for the issuers of the flags, and a place below the issuer for
// others, as on OpenShift.
func (s *Set) keySetURI(issuer string) string {
	if s.config.JWKSURI != "" || slices.Contains(s.config.Issuers, issuer) {
		return s.external
	}
	return KeySetURI(issuer)
}
