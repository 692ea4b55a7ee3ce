package issuer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// fixed is a KeySource whose first key signs.
type fixed struct {
	signer boundtoken.Signer
	set    *jwks.Set
	next   time.Time
}

func (f *fixed) Signer(context.Context, time.Time) (boundtoken.Signer, error) { return f.signer, nil }
func (f *fixed) Keys(context.Context) (*jwks.Set, error)                      { return f.set, nil }
func (f *fixed) NextChange() (time.Time, bool)                                { return f.next, !f.next.IsZero() }

func source(t testing.TB, private ...crypto.Signer) *fixed {
	t.Helper()
	var f fixed
	var keys []boundtoken.Key
	for i, p := range private {
		s, err := boundtoken.NewSigner(p)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			f.signer = s
		}
		keys = append(keys, s.Key())
	}
	f.set = jwks.New(keys...)
	return &f
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSet(t testing.TB, c issuer.Config) *issuer.Set {
	t.Helper()
	if c.ExternalAddress == "" {
		c.ExternalAddress = "10.0.0.1:6443"
	}
	if c.Keys == nil {
		c.Keys = source(t, ecKey(t))
	}
	if c.Clock == nil {
		c.Clock = clock.APIOf(clock.Real())
	}
	s, err := issuer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := newSet(t, issuer.Config{})
	if s.Active() != "https://kubernetes.default.svc" || !slices.Equal(s.APIAudiences(), []string{issuer.Default}) {
		t.Errorf("issuer %s, audiences %v", s.Active(), s.APIAudiences())
	}
	s = newSet(t, issuer.Config{Issuers: []string{"https://a", "b"}})
	if s.Active() != "https://a" || !slices.Equal(texts(s.Accepted()), []string{"https://a", "b"}) || !slices.Equal(s.APIAudiences(), texts(s.Accepted())) {
		t.Errorf("issuers %v, audiences %v", s.Accepted(), s.APIAudiences())
	}
	s = newSet(t, issuer.Config{Issuers: []string{"https://a"}, APIAudiences: []string{"api"}})
	if !slices.Equal(s.APIAudiences(), []string{"api"}) {
		t.Errorf("audiences %v", s.APIAudiences())
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		config issuer.Config
		want   string
	}{
		"empty issuer":      {issuer.Config{Issuers: []string{""}, ExternalAddress: "h"}, "must not be empty"},
		"issuer twice":      {issuer.Config{Issuers: []string{"a", "b", "a"}, ExternalAddress: "h"}, `"a" is given twice`},
		"colon, not a URL":  {issuer.Config{Issuers: []string{"10.0.0.1:443/x"}, ExternalAddress: "h"}, "contains a colon"},
		"empty audience":    {issuer.Config{APIAudiences: []string{"a", ""}, ExternalAddress: "h"}, "audience must not be empty"},
		"jwks uri of http":  {issuer.Config{JWKSURI: "http://h/keys"}, "not an https URL"},
		"jwks uri no host":  {issuer.Config{JWKSURI: "https:///keys"}, "not an https URL"},
		"no place for keys": {issuer.Config{}, "external address"},
	} {
		tc.config.Keys, tc.config.Clock = waiting{}, clock.APIOf(clock.Real())
		if _, err := issuer.New(tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestDocuments(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := source(t, ecKey(t), rsaKey)
	s := newSet(t, issuer.Config{Keys: keys})
	w := get(s.DiscoveryHandler(), "GET", issuer.DiscoveryPath)
	want := `{"issuer":"https://kubernetes.default.svc","jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks","response_types_supported":["id_token"],` +
		`"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256","RS256"]}`
	if w.Body.String() != want {
		t.Errorf("discovery document\n%s\nwant\n%s", w.Body, want)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("headers %v", h)
	}
	w = get(s.JWKSHandler(), "GET", issuer.JWKSPath)
	if h := w.Header(); h.Get("Content-Type") != "application/jwk-set+json" || h.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("headers %v", h)
	}
	set, err := jwks.Parse(w.Body.Bytes())
	if err != nil || len(set.Find("")) != 2 || len(set.Find(keys.signer.Key().ID)) != 1 {
		t.Errorf("key set %s: %v", w.Body, err)
	}
	if w := get(s.JWKSHandler(), "HEAD", issuer.JWKSPath); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := get(s.JWKSHandler(), "POST", issuer.JWKSPath); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
	keys.set = jwks.New()
	if w := get(s.JWKSHandler(), "GET", issuer.JWKSPath); w.Body.String() != `{"keys":[]}` {
		t.Errorf("key set after a change: %s", w.Body)
	}
}

func TestKeySetURIFromTheFlag(t *testing.T) {
	s := newSet(t, issuer.Config{JWKSURI: "https://keys.example/jwks"})
	if doc := get(s.DiscoveryHandler(), "GET", issuer.DiscoveryPath).Body.String(); !strings.Contains(doc, `"jwks_uri":"https://keys.example/jwks"`) {
		t.Error(doc)
	}
}

func TestUndiscoverableIssuersHaveNoDocuments(t *testing.T) {
	for iss, hidden := range map[string]bool{
		"https://a.example": false, "https://a.example/path": false, "https://a.example:8443": false,
		"http://a.example": true, "kubernetes/serviceaccount": true, "https://a.example?x=y": true, "https://a.example?": true, "https://a.example#f": true, "https://": true,
	} {
		s := newSet(t, issuer.Config{Issuers: []string{iss}})
		for _, h := range []http.Handler{s.DiscoveryHandler(), s.JWKSHandler()} {
			if w := get(h, "GET", "/"); (w.Code == 404) != hidden {
				t.Errorf("%s: %d", iss, w.Code)
			}
		}
	}
}

func TestDocumentsBeforeTheFirstKey(t *testing.T) {
	s := newSet(t, issuer.Config{Keys: waiting{}})
	w := httptest.NewRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.JWKSHandler().ServeHTTP(w, httptest.NewRequest("GET", issuer.JWKSPath, nil).WithContext(ctx))
	if w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// waiting is a KeySource that never has a key.
type waiting struct{}

func (waiting) Signer(ctx context.Context, _ time.Time) (boundtoken.Signer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (waiting) NextChange() (time.Time, bool) { return time.Time{}, false }

func (waiting) Keys(ctx context.Context) (*jwks.Set, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A relying party that knows nothing of Kubernetes, over real TLS.
func TestRelyingPartyDiscoversAndVerifies(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ecKey(t), rsaKey} {
		mux := http.NewServeMux()
		server := httptest.NewTLSServer(mux)
		defer server.Close()
		s := newSet(t, issuer.Config{Issuers: []string{server.URL}, ExternalAddress: server.Listener.Addr().String(), Keys: source(t, key)})
		mux.Handle(issuer.DiscoveryPath, s.DiscoveryHandler())
		mux.Handle(issuer.JWKSPath, s.JWKSHandler())

		ctx := oidc.ClientContext(context.Background(), server.Client())
		provider, err := oidc.NewProvider(ctx, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.Mint(ctx, boundtoken.NewClaims(boundtoken.Grant{
			Namespace:      "default",
			ServiceAccount: boundtoken.Ref{Name: "a", UID: "u"},
			Audience:       []string{"vault"},
			Lifetime:       time.Hour,
		}, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := provider.Verifier(&oidc.Config{ClientID: "vault"}).Verify(ctx, token.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != "system:serviceaccount:default:a" || got.Issuer != server.URL {
			t.Errorf("%+v", got)
		}
		if _, err := provider.Verifier(&oidc.Config{ClientID: "other"}).Verify(ctx, token.Reveal()); err == nil {
			t.Error("verified for another audience")
		}
	}
}

func TestTheFirstIssuerSignsWhileOperatorsAskForNone(t *testing.T) {
	if got := issuer.First(nil); got != "https://kubernetes.default.svc" {
		t.Errorf("without a flag %s", got)
	}
	if got := issuer.First([]string{"https://one.example", "https://two.example"}); got != "https://one.example" {
		t.Errorf("with two %s", got)
	}
}
