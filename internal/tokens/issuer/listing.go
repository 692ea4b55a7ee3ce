package issuer

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// ListingPath is where the API server says which issuers it accepts, to whom may ask:
// the discovery document knows one issuer only, and the status of
// kubeapiservers.operator.openshift.io/cluster not those of the flags.
const ListingPath = "/openid/v1/issuers"

// ListedState is what an issuer is for a server.
type ListedState string

// The states of issuers.
const (
	// Active issues new tokens.
	Active ListedState = "Active"
	// Trusted means that tokens are accepted.
	Trusted ListedState = "Trusted"
	// Ended means that tokens were accepted once and are not any more.
	Ended ListedState = "Ended"
)

// Listed is one issuer.
type Listed struct {
	Issuer string      `json:"issuer"`
	State  ListedState `json:"state"`
	// Until is when the trust ends or has ended; nil means never.
	Until *time.Time `json:"until,omitempty"`
}

// Listing is what a server accepts.
type Listing struct {
	// Time is the server's, which issuers, keys and tokens live by.
	Time time.Time `json:"time"`
	// Issuers begin with the active one.
	Issuers []Listed `json:"issuers"`
	// APIAudiences are the audiences that the server answers to.
	APIAudiences []string `json:"apiAudiences"`
	// JWKSURI is where the keys are published by somebody else, or "".
	JWKSURI string `json:"jwksURI,omitempty"`
}

// Listing returns what the server accepts now, and what it is known to have accepted.
func (s *Set) Listing() Listing {
	v, now := s.now(), s.config.Clock.Now()
	l := Listing{Time: now.UTC(), APIAudiences: v.audiences, JWKSURI: s.config.JWKSURI}
	for i, t := range append(slices.Clone(v.all), v.former...) {
		one := Listed{Issuer: t.issuer.String(), State: Trusted}
		if !t.until.IsZero() {
			until := t.until.UTC()
			one.Until = &until
		}
		switch {
		case i == 0:
			one.State = Active
		case one.Until != nil && !now.Before(*one.Until):
			one.State = Ended
		}
		l.Issuers = append(l.Issuers, one)
	}
	return l
}

// Find returns what is known of an issuer.
func (l *Listing) Find(issuer string) (Listed, bool) {
	for _, one := range l.Issuers {
		if one.Issuer == issuer {
			return one, true
		}
	}
	return Listed{}, false
}

// ListingHandler serves the listing as JSON; mount it at ListingPath.
func (s *Set) ListingHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		// A client that has gone is nobody to tell.
		_ = json.NewEncoder(w).Encode(s.Listing())
	})
}
