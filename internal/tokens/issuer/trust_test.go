package issuer_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// texts returns issuers as text.
func texts(issuers []boundtoken.Issuer) (all []string) {
	for _, i := range issuers {
		all = append(all, i.String())
	}
	return all
}

func TestIssuersChangeWhileTheServerRuns(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	fake := clocktesting.NewFakeClock(now)
	s := newSet(t, issuer.Config{Issuers: []string{"https://flag", "https://second"}, Clock: clock.APIOf(fake)})
	apply := func(active string, trusted ...issuer.Trust) {
		t.Helper()
		if err := s.Apply(issuer.State{Active: active, Trusted: trusted}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(accepted ...string) {
		t.Helper()
		if got := texts(s.Accepted()); !slices.Equal(got, accepted) || s.Active() != accepted[0] || !slices.Equal(s.APIAudiences(), accepted) {
			t.Errorf("active %s, accepted %v, audiences %v; want %v", s.Active(), got, s.APIAudiences(), accepted)
		}
	}
	want("https://flag", "https://second")
	apply("https://new", issuer.Trust{Issuer: "https://old", Until: now.Add(time.Hour)}, issuer.Trust{Issuer: "https://older", Until: now.Add(-time.Second)})
	want("https://new", "https://old", "https://second")
	fake.SetTime(now.Add(time.Hour - time.Second))
	want("https://new", "https://old", "https://second")
	fake.SetTime(now.Add(time.Hour))
	want("https://new", "https://second")
	if until, ok := s.WasTrusted("https://old"); !ok || !until.Equal(now.Add(time.Hour)) {
		t.Errorf("https://old was trusted until %v, %v", until, ok)
	}
	for _, i := range []string{"https://new", "https://second", "https://never"} {
		if until, ok := s.WasTrusted(i); ok {
			t.Errorf("%s was trusted until %v", i, until)
		}
	}
	fake.SetTime(now.Add(-time.Hour)) // a clock that goes back trusts again
	want("https://new", "https://old", "https://older", "https://second")
	apply("https://old", issuer.Trust{Issuer: "https://old", Until: now}, issuer.Trust{Issuer: "https://flag", Until: now.Add(-24 * time.Hour)})
	want("https://old", "https://second")
	if until, ok := s.WasTrusted("https://new"); !ok || !until.Equal(now.Add(-time.Hour)) {
		t.Errorf("https://new was trusted until %v, %v", until, ok)
	}
	apply("")
	want("https://flag", "https://second")
}

func TestStatesThatAreRefusedChangeNothing(t *testing.T) {
	s := newSet(t, issuer.Config{})
	for _, state := range []issuer.State{
		{Active: "10.0.0.1:443/x"}, {Trusted: []issuer.Trust{{}}}, {Active: "https://fine", Trusted: []issuer.Trust{{Issuer: ":"}}},
	} {
		if err := s.Apply(state); err == nil || s.Active() != issuer.Default || len(s.Accepted()) != 1 {
			t.Errorf("%+v: %v, active %s", state, err, s.Active())
		}
	}
}

func TestAudiencesOfTheFlagStay(t *testing.T) {
	s := newSet(t, issuer.Config{APIAudiences: []string{"api"}})
	if err := s.Apply(issuer.State{Active: "https://new"}); err != nil || !slices.Equal(s.APIAudiences(), []string{"api"}) {
		t.Errorf("%v, %v", s.APIAudiences(), err)
	}
}

// documents serves a set as the API server does.
func documents(s *issuer.Set) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(issuer.DiscoveryPath, s.DiscoveryHandler())
	mux.Handle(issuer.JWKSPath, s.JWKSHandler())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("other " + r.URL.Path)) })
	return s.Route(mux)
}

func TestEveryAcceptedIssuerIsDiscoverable(t *testing.T) {
	s := newSet(t, issuer.Config{Issuers: []string{"https://flag.example"}})
	err := s.Apply(issuer.State{Active: "https://new.example/oidc/a", Trusted: []issuer.Trust{
		{Issuer: "https://other.example:8443"}, {Issuer: "https://x.example/same"}, {Issuer: "https://y.example/same"}, {Issuer: "plain"}, {Issuer: "https://flag.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	const own, below = "https://10.0.0.1:6443/openid/v1/jwks", "/openid/v1/jwks"
	for _, tc := range []struct{ url, issuer, keys string }{
		{"https://new.example/oidc/a/.well-known/openid-configuration", "https://new.example/oidc/a", "https://new.example/oidc/a" + below},
		{"https://NEW.example:6443/oidc/a/.well-known/openid-configuration", "https://new.example/oidc/a", "https://new.example/oidc/a" + below},
		{"https://10.0.0.1:6443/oidc/a/.well-known/openid-configuration", "https://new.example/oidc/a", "https://new.example/oidc/a" + below},
		{"https://flag.example/.well-known/openid-configuration", "https://flag.example", own},
		{"https://flag.example/.well-known/openid-configuration/", "https://flag.example", own},
		{"https://other.example:8443/.well-known/openid-configuration", "https://other.example:8443", "https://other.example:8443" + below},
		{"https://x.example/same/.well-known/openid-configuration", "https://x.example/same", "https://x.example/same" + below},
		{"https://y.example/same/.well-known/openid-configuration", "https://y.example/same", "https://y.example/same" + below},
		{"https://10.0.0.1:6443/.well-known/openid-configuration", "https://new.example/oidc/a", "https://new.example/oidc/a" + below},
	} {
		want := `{"issuer":"` + tc.issuer + `","jwks_uri":"` + tc.keys + `",`
		if w := get(documents(s), "GET", tc.url); w.Code != 200 || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", tc.url, w.Code, w.Body, want)
		}
		keys := strings.Replace(tc.url, issuer.DiscoveryPath, issuer.JWKSPath, 1)
		if w := get(documents(s), "GET", keys); w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"keys":[{`) {
			t.Errorf("%s: %d %s", keys, w.Code, w.Body)
		}
	}
	for _, url := range []string{
		"https://z.example/same/.well-known/openid-configuration", "https://new.example/oidc/b/.well-known/openid-configuration",
		"https://new.example/oidc/a/../b/openid/v1/jwks",
	} {
		if w := get(documents(s), "GET", url); w.Code != 404 {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/", "/api", "/oidc/a", "/.well-known/openid-configurations"} {
		if w := get(documents(s), "GET", "https://new.example"+path); w.Body.String() != "other "+path {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if hosts := s.Hosts(); !slices.Equal(hosts, []string{"new.example", "other.example", "x.example", "y.example", "flag.example"}) {
		t.Errorf("hosts %v", hosts)
	}
}

// The document of an issuer of the flags names this server's own address for the keys.
func TestKeysOfAFormerIssuerStayWhereItsDocumentSays(t *testing.T) {
	s := newSet(t, issuer.Config{Issuers: []string{"https://flag.example"}})
	if err := s.Apply(issuer.State{Active: "plain", Trusted: []issuer.Trust{{Issuer: "https://flag.example"}}}); err != nil {
		t.Fatal(err)
	}
	const keys = "https://10.0.0.1:6443/openid/v1/jwks"
	if w := get(documents(s), "GET", "https://flag.example/.well-known/openid-configuration"); w.Code != 200 || !strings.Contains(w.Body.String(), `"jwks_uri":"`+keys+`"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(documents(s), "GET", keys); w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"keys":[{`) {
		t.Errorf("%s: %d %s", keys, w.Code, w.Body)
	}
	if w := get(documents(s), "GET", "https://10.0.0.1:6443/.well-known/openid-configuration"); w.Code != 404 {
		t.Errorf("the document of an issuer that cannot be discovered: %d %s", w.Code, w.Body)
	}
}

func TestDocumentsAreNotKeptBeyondTheNextChangeOfTheKeys(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now())
	keys := source(t, ecKey(t))
	s := newSet(t, issuer.Config{Keys: keys, Clock: clock.APIOf(fake)})
	for wait, want := range map[time.Duration]string{
		2 * time.Hour: "3600", 90 * time.Second: "90", 0: "0", -time.Minute: "0",
	} {
		keys.next = fake.Now().Add(wait)
		w := httptest.NewRecorder()
		s.JWKSHandler().ServeHTTP(w, httptest.NewRequest("GET", issuer.JWKSPath, nil))
		if got := w.Header().Get("Cache-Control"); got != "public, max-age="+want {
			t.Errorf("change in %v: %s", wait, got)
		}
	}
}
