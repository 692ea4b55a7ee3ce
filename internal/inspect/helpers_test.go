package inspect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// at is when the tokens of these tests are issued.
var at = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

const name = "https://tokens.example"

func newSigner(t testing.TB) boundtoken.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := boundtoken.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grant is that of a pod's token for vault, good for two hours.
func grant() boundtoken.Grant {
	return boundtoken.Grant{
		Namespace: "default", ServiceAccount: boundtoken.Ref{Name: "robot", UID: "sa-uid"},
		Pod: &boundtoken.Ref{Name: "web", UID: "pod-uid"}, Node: &boundtoken.Ref{Name: "n1", UID: "node-uid"},
		Audience: []string{"vault"}, Lifetime: 2 * time.Hour,
	}
}

func mint(t testing.TB, s boundtoken.Signer, issuer string, g boundtoken.Grant) string {
	t.Helper()
	c := boundtoken.NewClaims(g, at)
	c.Issuer = issuer
	token, err := boundtoken.Mint(t.Context(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// unsigned makes a token by hand.
func unsigned(header, claims string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(claims)) + "." + e([]byte("signature"))
}

// system is a system as a test wants it.
type system struct {
	listing  inspect.Listing
	down     error
	keys     *jwks.Set
	review   inspect.Review
	denied   error
	reviewed []string // audiences of the last review
	reviews  int
	pages    map[string]string
}

func (s *system) Listing(context.Context) (inspect.Listing, error) { return s.listing, s.down }

func (s *system) KeySet(context.Context) ([]byte, *jwks.Set, error) {
	if s.keys == nil {
		return nil, nil, errors.New("no keys")
	}
	raw, err := json.Marshal(s.keys)
	return raw, s.keys, err
}

func (s *system) Fetch(ctx context.Context, i boundtoken.Issuer) (*discovery.Documents, error) {
	return discovery.NewClient(discovery.ClientConfig{Transport: s}).Fetch(ctx, i)
}

// RoundTrip implements http.RoundTripper: it answers with the system's pages.
func (s *system) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if page, ok := s.pages[r.URL.String()]; ok {
		w.WriteString(page)
	} else {
		w.WriteHeader(http.StatusNotFound)
	}
	return w.Result(), nil
}

func (s *system) Review(_ context.Context, _ inspect.Token, audiences []string) (inspect.Review, error) {
	s.reviews, s.reviewed = s.reviews+1, audiences
	return s.review, s.denied
}

// newSystem is a system that issues as name with one key.
func newSystem(t testing.TB, signer boundtoken.Signer) *system {
	t.Helper()
	set := jwks.New(signer.Key())
	s := &system{keys: set, review: inspect.Review{Accepted: true, User: "robot"}, pages: map[string]string{}}
	s.listing.Time = at.Add(time.Minute)
	s.listing.Issuers = []issuer.Listed{{Issuer: name, State: issuer.Active}}
	s.listing.APIAudiences = []string{name}
	s.publish(t, name, set)
	return s
}

// publish serves the documents of an issuer.
func (s *system) publish(t testing.TB, name string, set *jwks.Set) {
	t.Helper()
	doc, err := issuer.Document(name, issuer.KeySetURI(name), set)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := boundtoken.ParseIssuer(name)
	if err != nil {
		t.Fatal(err)
	}
	s.pages[parsed.DiscoveryURL()], s.pages[issuer.KeySetURI(name)] = string(doc), string(keys)
}
