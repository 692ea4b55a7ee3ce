package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
)

// Default is the issuer when none is configured, as on OpenShift.
const Default = "https://kubernetes.default.svc"

// KeySource has the signing keys. *keys.Ring is one.
type KeySource interface {
	// Signer returns what signs now a token that ends at end, waiting for the
	// first key.
	Signer(ctx context.Context, end time.Time) (boundtoken.Signer, error)
	// Keys returns the accepted keys, waiting for the first; the same set
	// until they change.
	Keys(ctx context.Context) (*jwks.Set, error)
	// NextChange returns when the keys will change by themselves, if that is known.
	NextChange() (at time.Time, ok bool)
}

// Config is what a Set is made from.
type Config struct {
	// Issuers are the values of --service-account-issuer: the first signs
	// unless Apply says otherwise, the others are always accepted. Empty means
	// Default.
	Issuers []string
	// APIAudiences are the values of --api-audiences; empty means the accepted
	// issuers.
	APIAudiences []string
	// JWKSURI is the value of --service-account-jwks-uri, or "".
	JWKSURI string
	// ExternalAddress is the host and port at which clients reach the
	// server, for the key set's URL where JWKSURI is "".
	ExternalAddress string
	// Keys has the signing keys.
	Keys KeySource
	// Clock rules until when issuers are trusted; it may be a test clock.
	Clock clock.API
}

// Set is the issuers of a server, safe for concurrent use. Which issuer signs and
// which others are trusted can change while it is used (Apply); every method looks at
// one state as a whole.
type Set struct {
	config Config
	// external is the key set's URL for the issuers of the flags.
	external string
	view     atomic.Pointer[view]
	pages    atomic.Pointer[pages]
}

// First returns the issuer of new tokens while operators ask for none: the first of the
// flags, or Default.
func First(issuers []string) string {
	if len(issuers) > 0 {
		return issuers[0]
	}
	return Default
}

// New checks c by the rules of the API server's flags.
func New(c Config) (*Set, error) {
	if c.Clock == nil || c.Keys == nil {
		return nil, errors.New("issuer: incomplete configuration")
	}
	if len(c.Issuers) == 0 {
		c.Issuers = []string{Default}
	}
	if err := Validate(c.Issuers); err != nil {
		return nil, err
	}
	if slices.Contains(c.APIAudiences, "") {
		return nil, errors.New("API audience must not be empty")
	}
	c.Issuers, c.APIAudiences = slices.Clone(c.Issuers), slices.Clone(c.APIAudiences)
	s := &Set{config: c}
	var err error
	if s.external, err = jwksURI(c); err != nil {
		return nil, err
	}
	return s, s.Apply(State{})
}

// Validate checks values of --service-account-issuer as the API server does:
// none is empty or given twice, and one with a colon is a URL.
func Validate(issuers []string) error {
	for i, iss := range issuers {
		if iss == "" {
			return errors.New("service account issuer must not be empty")
		}
		if slices.Contains(issuers[:i], iss) {
			return fmt.Errorf("service account issuer %q is given twice", iss)
		}
		if _, err := boundtoken.ParseIssuer(iss); err != nil {
			return fmt.Errorf("service account %v", err)
		}
	}
	return nil
}

// Undiscoverable tells why relying parties cannot discover an issuer, or returns
// nil (OpenID Connect Discovery 1.0, section 3).
func Undiscoverable(issuer string) error {
	i, err := boundtoken.ParseIssuer(issuer)
	if err != nil {
		return fmt.Errorf("issuer %q is not a URL", issuer)
	}
	return i.Discoverable()
}

func jwksURI(c Config) (string, error) {
	if c.JWKSURI == "" {
		if c.ExternalAddress == "" {
			return "", errors.New("issuer needs a key set URI or the server's external address")
		}
		return (&url.URL{Scheme: "https", Host: c.ExternalAddress, Path: JWKSPath}).String(), nil
	}
	return c.JWKSURI, ValidateJWKSURI(c.JWKSURI)
}

// ValidateJWKSURI checks the value of --service-account-jwks-uri.
func ValidateJWKSURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("key set URI %q is not an https URL", uri)
	}
	return nil
}

// Mint issues a token that says claims, from the active issuer.
func (s *Set) Mint(ctx context.Context, claims boundtoken.Claims) (boundtoken.Token, error) {
	signer, err := s.config.Keys.Signer(ctx, claims.Expiry.Time())
	if err != nil {
		return boundtoken.Token{}, err
	}
	claims.Issuer = s.Active()
	return boundtoken.Mint(ctx, signer, claims)
}
