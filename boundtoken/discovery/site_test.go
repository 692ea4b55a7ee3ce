package discovery_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
)

// Where a site has its documents.
const (
	documentPath = "/tenant/.well-known/openid-configuration"
	keysPath     = "/keys"
)

// site is the host of an issuer: a server with TLS that keeps what it was asked.
type site struct {
	*httptest.Server
	issuer boundtoken.Issuer

	mu           sync.Mutex
	document     string
	keys         []boundtoken.Key
	cacheControl string
	down         bool
	hold         chan struct{} // if set, answers wait until it is closed
	asked        map[string]int
	heard        strings.Builder
}

func newSite(t *testing.T, keys ...boundtoken.Key) *site {
	t.Helper()
	s := &site{keys: keys, asked: map[string]int{}}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	s.issuer = parse(t, s.URL+"/tenant")
	s.document = `{"issuer":"` + s.issuer.String() + `","jwks_uri":"` + s.URL + keysPath + `"}`
	return s
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true)
	s.mu.Lock()
	s.heard.Write(dump)
	s.asked[r.URL.Path]++
	hold, down, keys, document := s.hold, s.down, s.keys, s.document
	if s.cacheControl != "" {
		w.Header().Set("Cache-Control", s.cacheControl)
	}
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	switch {
	case down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.URL.Path == documentPath:
		w.Write([]byte(document))
	case r.URL.Path == keysPath:
		json.NewEncoder(w).Encode(jwks.New(keys...))
	default:
		http.NotFound(w, r)
	}
}

// set changes the site while it is asked.
func (s *site) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// times returns how often the keys were asked for.
func (s *site) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[keysPath]
}

// client believes the site's certificate.
func (s *site) client() *discovery.Client {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return discovery.NewClient(discovery.ClientConfig{Roots: pool})
}

func parse(t testing.TB, text string) boundtoken.Issuer {
	t.Helper()
	i, err := boundtoken.ParseIssuer(text)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

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
