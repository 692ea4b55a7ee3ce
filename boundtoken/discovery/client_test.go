package discovery_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"laterna.dev/laterna/boundtoken/discovery"
)

func TestFetchFollowsTheDocumentToTheKeys(t *testing.T) {
	key := newSigner(t).Key()
	s := newSite(t, key)
	d, err := s.client().Fetch(t.Context(), s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	if d.Issuer != s.issuer || d.URL != s.URL+documentPath || d.KeySetURI != s.URL+keysPath || !d.Keys.Contains(key) {
		t.Errorf("%+v", d)
	}
	heard := s.heard.String()
	if strings.Contains(heard, "Authorization") || strings.Contains(heard, "Cookie") || !strings.Contains(heard, documentPath) {
		t.Errorf("the site heard:\n%s", heard)
	}
}

func TestHostileDocumentsAreRefused(t *testing.T) {
	s := newSite(t)
	doc := func(issuer, uri string) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, uri) }
	name := s.issuer.String()
	for what, tc := range map[string]struct{ document, want string }{
		"of another issuer":      {doc(name+"/", s.URL+keysPath), "is of issuer " + name + "/, not of " + name},
		"of nobody":              {`{"jwks_uri":"` + s.URL + keysPath + `"}`, `is of issuer "", not of`},
		"issuer in capitals":     {`{"Issuer":"` + name + `","jwks_uri":"` + s.URL + keysPath + `"}`, `is of issuer ""`},
		"two issuers":            {`{"issuer":"x","issuer":"` + name + `","jwks_uri":"` + s.URL + keysPath + `"}`, "is not a discovery document"},
		"an issuer that drives":  {`{"issuer":"\u001b[2J"}`, `"\x1b[2J"`},
		"keys by http":           {doc(name, strings.Replace(s.URL, "https", "http", 1)+keysPath), "not an https URL"},
		"keys in a file":         {doc(name, "file:///etc/passwd"), "not an https URL"},
		"keys with credentials":  {doc(name, strings.Replace(s.URL, "https://", "https://u:p@", 1)+keysPath), "not an https URL"},
		"keys without a host":    {doc(name, "https:///keys"), "not an https URL"},
		"keys that look alike":   {`{"issuer":"` + name + `","jwks_uri":"https://ex\u0430mple/"}`, "not an https URL"},
		"keys that are not JSON": {doc(name, s.URL+documentPath), `has no list "keys"`},
		"keys that are not":      {doc(name, s.URL+"/none"), "404 Not Found"},
		"a page":                 {"<html>", "is not a discovery document"},
		"too long":               {strings.Repeat(" ", discovery.MaxDocument) + "{}", "longer than 65536 bytes"},
	} {
		s.set(func() { s.document = tc.document })
		if _, err := s.client().Fetch(t.Context(), s.issuer); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
}

func TestServersAreVerifiedAndLeadNowhereElse(t *testing.T) {
	s := newSite(t)
	if _, err := discovery.NewClient(discovery.ClientConfig{}).Fetch(t.Context(), s.issuer); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	away := httptest.NewTLSServer(http.RedirectHandler(s.URL+documentPath, http.StatusMovedPermanently))
	defer away.Close()
	pool := x509.NewCertPool()
	pool.AddCert(away.Certificate())
	pool.AddCert(s.Certificate())
	client := discovery.NewClient(discovery.ClientConfig{Roots: pool})
	if _, err := client.Fetch(t.Context(), parse(t, away.URL)); err == nil || !strings.Contains(err.Error(), "301 Moved Permanently") {
		t.Errorf("a redirection: %v", err)
	}
	old := httptest.NewUnstartedServer(s)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	if _, err := client.Fetch(t.Context(), parse(t, old.URL)); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	loud := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	}))
	defer loud.Close()
	if _, err := client.Fetch(t.Context(), parse(t, loud.URL)); err == nil {
		t.Error("a header of a megabyte was read")
	}
}

func TestIssuersThatNobodyIsAskedFor(t *testing.T) {
	client := discovery.NewClient(discovery.ClientConfig{Transport: noTransport{t}})
	for _, name := range []string{"http://127.0.0.1", "plain", "https://tokens.ex\u0430mple", "https://x/?q", "file:///etc/passwd", "https://user:secret@x/"} {
		i := parse(t, name)
		if _, err := client.Fetch(t.Context(), i); err == nil || discovery.Check(i) == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := discovery.NewSource(discovery.SourceConfig{Issuer: i}); err == nil {
			t.Errorf("%s is a source", name)
		}
	}
	if _, err := discovery.NewSource(discovery.SourceConfig{}); err == nil {
		t.Error("nobody is a source")
	}
}

// noTransport fails the test when it is used.
type noTransport struct{ t *testing.T }

func (n noTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("%s was asked", r.URL)
	return nil, http.ErrUseLastResponse
}

func TestFetchRawLeavesTheKeySetAsItCame(t *testing.T) {
	s := newSite(t)
	s.set(func() { s.document = fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, s.issuer, s.URL+documentPath) })
	d, err := s.client().FetchRaw(t.Context(), s.issuer)
	if err != nil || d.Keys != nil || string(d.KeySet) != s.document || d.Fresh() != discovery.DefaultAge {
		t.Errorf("%+v, %v", d, err)
	}
}
