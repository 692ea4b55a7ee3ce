package inspect_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// site is an issuer's host that keeps what it was asked.
type site struct {
	*httptest.Server
	pages map[string]http.HandlerFunc

	mu    sync.Mutex
	heard strings.Builder
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pages: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, true)
		s.mu.Lock()
		s.heard.Write(dump)
		s.mu.Unlock()
		if page, ok := s.pages[r.URL.Path]; ok {
			page(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func TestDiscoveryOverTLS(t *testing.T) {
	signer := newSigner(t)
	keys, err := json.Marshal(jwks.New(signer.Key()))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	url := s.URL + "/path"
	token := mint(t, signer, url, grant())
	doc := func(issuer, jwks string) http.HandlerFunc {
		raw, err := json.Marshal(map[string]string{"issuer": issuer, "jwks_uri": jwks})
		if err != nil {
			t.Fatal(err)
		}
		return text(string(raw))
	}
	const document, set = "/path/.well-known/openid-configuration", "/path/openid/v1/jwks"
	for what, tc := range map[string]struct {
		document, set http.HandlerFunc
		result        inspect.Result
		reason        string
	}{
		"good":             {doc(url, s.URL+set), text(string(keys)), inspect.Passed, "leads to the key"},
		"absent":           {nil, nil, inspect.Failed, "404 Not Found"},
		"of another":       {doc(url+"x", s.URL+set), text(string(keys)), inspect.Failed, "is of issuer"},
		"keys by http":     {doc(url, "http://x/keys"), nil, inspect.Failed, "not an https URL"},
		"keys at a file":   {doc(url, "file:///etc/passwd"), nil, inspect.Failed, "not an https URL"},
		"no keys":          {doc(url, s.URL+set), nil, inspect.Failed, "404 Not Found"},
		"broken keys":      {doc(url, s.URL+set), text("<html>"), inspect.Failed, "key set is not JSON"},
		"without the key":  {doc(url, s.URL+set), text(`{"keys":[]}`), inspect.Failed, "has no key"},
		"not JSON":         {text("\x1b]0;x\a"), nil, inspect.Failed, "is not a discovery document"},
		"a redirection":    {http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, nil, inspect.Failed, "302 Found"},
		"too long":         {text(strings.Repeat(" ", 100_000)), nil, inspect.Failed, "longer than 65536"},
		"hostile document": {doc("\x1b[2J\u202e", "x"), nil, inspect.Failed, `"\x1b[2J\u202e"`},
	} {
		t.Run(what, func(t *testing.T) {
			s.pages = map[string]http.HandlerFunc{}
			if tc.document != nil {
				s.pages[document] = tc.document
			}
			if tc.set != nil {
				s.pages[set] = tc.set
			}
			r := inspect.Inspect(t.Context(), inspect.Read(token), inspect.Config{Elsewhere: discovery.NewClient(discovery.ClientConfig{Roots: s.roots()}), NoSystem: "none", Now: at})
			check(t, r, "discovery", tc.result, tc.reason)
		})
	}
	r := inspect.Inspect(t.Context(), inspect.Read(token), inspect.Config{Elsewhere: discovery.NewClient(discovery.ClientConfig{Roots: x509.NewCertPool()}), NoSystem: "none", Now: at})
	check(t, r, "discovery", inspect.Failed, "certificate")
	heard := s.heard.String()
	if !strings.Contains(heard, document) {
		t.Fatal("the site heard nothing")
	}
	for part := range strings.SplitSeq(token, ".") {
		if strings.Contains(heard, part) {
			t.Errorf("the issuer's host heard a part of the token:\n%s", heard)
		}
	}
	if strings.Contains(heard, "Authorization") || strings.Contains(heard, "Cookie") {
		t.Errorf("credentials were sent:\n%s", heard)
	}
}

func TestIssuersThatNobodyIsAskedFor(t *testing.T) {
	signer := newSigner(t)
	for _, hostile := range []string{"http://127.0.0.1", "plain", "https://tokens.ex\u0430mple", "https://a b", "https://x/?q", "file:///etc/passwd"} {
		asked := newSystem(t, signer) // it would answer with an error, which fails
		r := inspect.Inspect(t.Context(), inspect.Read(mint(t, signer, hostile, grant())), inspect.Config{Elsewhere: asked, NoSystem: "none", Now: at})
		check(t, r, "discovery", inspect.NotMade, "issuer ")
	}
}

func TestStockServerTellsItsActiveIssuer(t *testing.T) {
	signer := newSigner(t)
	keys, err := json.Marshal(jwks.New(signer.Key()))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.pages[issuer.DiscoveryPath] = text(`{"issuer":"` + name + `"}`)
	s.pages[issuer.JWKSPath] = text(string(keys))
	system, err := inspect.NewSystem(&rest.Config{Host: s.URL, BearerToken: "mine", TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	r := inspect.Inspect(t.Context(), inspect.Read(mint(t, signer, name, grant())), inspect.Config{System: system, Now: at})
	check(t, r, "issuer", inspect.Passed, "issues with")
	check(t, r, "signature", inspect.Passed, "by a key of the system")
	check(t, r, "discovery", inspect.NotMade, "--discover")
	check(t, r, "liveness", inspect.NotMade, "could not find")
	if !r.Time.Equal(at) {
		t.Errorf("time %s", r.Time)
	}
}

func TestSystemIsReachedUnderItsIssuersName(t *testing.T) {
	s := newSite(t) // httptest's certificate is good for example.com
	s.pages[issuer.DiscoveryPath] = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":"https://%s","jwks_uri":"https://%[1]s/keys"}`, r.Host)
	}
	s.pages["/keys"] = text(`{"keys":[]}`)
	ca := rest.TLSClientConfig{CAData: pemOf(s.Certificate())}
	system, err := inspect.NewSystem(&rest.Config{Host: s.URL, TLSClientConfig: ca})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := inspect.Discover(t.Context(), system, "https://example.com"); err != nil || got.KeySetURI != "https://example.com/keys" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := inspect.Discover(t.Context(), system, "https://other.example"); err == nil || !strings.Contains(err.Error(), "certificate is valid for") {
		t.Errorf("a server without that name: %v", err)
	}
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
