package inspect_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/inspect"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// check fails unless a report's check has the result and its reason holds text.
func check(t *testing.T, r inspect.Report, name string, result inspect.Result, text string) {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name && c.Result == result && strings.Contains(c.Reason, text) {
			return
		}
	}
	t.Errorf("want %s %s (%s), got %+v", name, result, text, r.Checks)
}

func TestGoodTokenPassesEveryCheck(t *testing.T) {
	signer := newSigner(t)
	s := newSystem(t, signer)
	token := inspect.Read("\n" + mint(t, signer, name, grant()) + " \n")
	r := inspect.Inspect(t.Context(), token, inspect.Config{System: s, Audiences: []string{"other", "vault"}, Now: at.Add(99 * time.Hour)})
	if !r.OK || !r.Complete || len(r.Checks) != 7 || !r.Time.Equal(s.listing.Time) {
		t.Errorf("got %+v", r)
	}
	if !slices.Equal(s.reviewed, []string{"vault"}) {
		t.Errorf("reviewed for %v, want the token's own audiences", s.reviewed)
	}
	if r.Signature != "" || strings.Contains(string(r.Claims)+string(r.Header), token.Signature()) {
		t.Error("the report holds the signature")
	}
}

func TestEachFaultFailsItsOwnCheck(t *testing.T) {
	signer, other := newSigner(t), newSigner(t)
	good := mint(t, signer, name, grant())
	later := at.Add(time.Hour)
	for what, tc := range map[string]struct {
		token   string
		change  func(*system, *inspect.Config)
		name    string
		result  inspect.Result
		reason  string
		reviews int
	}{
		"other key":        {mint(t, other, name, grant()), nil, "signature", inspect.Failed, "no keys found", 0},
		"changed":          {good[:len(good)-9] + "AAAAAAAAA", nil, "signature", inspect.Failed, "was changed", 0},
		"other issuer":     {mint(t, signer, "https://elsewhere", grant()), nil, "issuer", inspect.Failed, "https://elsewhere is not accepted", 0},
		"look-alike":       {mint(t, signer, "https://tokens.ex\u0430mple", grant()), nil, "issuer", inspect.Failed, `"https://tokens.ex\u0430mple" is not accepted`, 0},
		"wrong audience":   {good, func(_ *system, c *inspect.Config) { c.Audiences = []string{"x"} }, "audience", inspect.Failed, "for vault, not for x", 1},
		"not the API's":    {good, nil, "audience", inspect.NotMade, "would refuse it", 1},
		"expired":          {good, func(s *system, _ *inspect.Config) { s.listing.Time = at.Add(3 * time.Hour) }, "time", inspect.Failed, "expired 1h ago", 0},
		"just expired":     {good, func(s *system, _ *inspect.Config) { s.listing.Time = at.Add(2*time.Hour + time.Minute) }, "time", inspect.Passed, "within the 1m", 1},
		"not yet":          {good, func(s *system, _ *inspect.Config) { s.listing.Time = at.Add(-time.Hour) }, "time", inspect.Failed, "valid only in 1h", 0},
		"at another time":  {good, func(_ *system, c *inspect.Config) { c.At = at.Add(9 * time.Hour) }, "time", inspect.Failed, "expired 7h ago", 1},
		"dead":             {good, func(s *system, _ *inspect.Config) { s.review = inspect.Review{Why: "gone"} }, "liveness", inspect.Failed, "gone; it is bound to pod web", 1},
		"review forbidden": {good, func(s *system, _ *inspect.Config) { s.denied = errors.New("you may not") }, "liveness", inspect.NotMade, "you may not", 1},
		"key unpublished":  {good, func(s *system, _ *inspect.Config) { s.publish(t, name, jwks.New()) }, "discovery", inspect.Failed, "has no key", 1},
		"nothing served":   {good, func(s *system, _ *inspect.Config) { s.pages = nil }, "discovery", inspect.Failed, "404 Not Found", 1},
		"keys elsewhere":   {good, func(s *system, _ *inspect.Config) { s.listing.JWKSURI = "https://cdn/k" }, "discovery", inspect.NotMade, "published at https://cdn/k", 1},
		"former issuer": {good, func(s *system, _ *inspect.Config) {
			s.listing.Issuers = []issuer.Listed{{Issuer: "https://new", State: issuer.Active}, {Issuer: name, State: issuer.Trusted, Until: &later}}
		}, "issuer", inspect.Passed, "a former one of this system, accepted until", 1},
		"ended issuer": {good, func(s *system, _ *inspect.Config) {
			s.listing.Issuers = []issuer.Listed{{Issuer: "https://new", State: issuer.Active}, {Issuer: name, State: issuer.Ended, Until: &at}}
		}, "issuer", inspect.Failed, "was accepted until", 0},
		"system down":    {good, func(s *system, _ *inspect.Config) { s.down = errors.New("it is down") }, "issuer", inspect.NotMade, "it is down", 0},
		"stock server":   {good, func(s *system, _ *inspect.Config) { s.listing.Partial = true }, "signature", inspect.Passed, "by a key of the system", 1},
		"stock, unknown": {mint(t, signer, "https://elsewhere", grant()), func(s *system, _ *inspect.Config) { s.listing.Partial = true }, "issuer", inspect.NotMade, "does not tell what else", 0},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSystem(t, signer)
			c := inspect.Config{System: s, Now: at}
			if tc.change != nil {
				tc.change(s, &c)
			}
			r := inspect.Inspect(t.Context(), inspect.Read(tc.token), c)
			check(t, r, tc.name, tc.result, tc.reason)
			if r.OK == (tc.result == inspect.Failed) {
				t.Errorf("ok %v", r.OK)
			}
			if s.reviews != tc.reviews {
				t.Errorf("the token was sent %d times, want %d", s.reviews, tc.reviews)
			}
		})
	}
}

func TestForeignTokenIsVerifiedByItsIssuersKeys(t *testing.T) {
	signer := newSigner(t)
	token := inspect.Read(mint(t, signer, "https://foreign", grant()))
	web, ours := newSystem(t, signer), newSystem(t, newSigner(t))
	web.publish(t, "https://foreign", jwks.New(signer.Key()))
	r := inspect.Inspect(t.Context(), token, inspect.Config{System: ours, Elsewhere: web, Now: at})
	check(t, r, "signature", inspect.Passed, "by a key of the issuer, ES256")
	check(t, r, "discovery", inspect.Passed, "https://foreign/.well-known/openid-configuration leads to the key")
	check(t, r, "issuer", inspect.NotMade, "only the issuer's own documents")
	check(t, r, "liveness", inspect.NotMade, "not sent")
	if web.reviews+ours.reviews > 0 {
		t.Error("the token was sent")
	}
	delete(web.pages, issuer.KeySetURI("https://foreign"))
	r = inspect.Inspect(t.Context(), token, inspect.Config{Elsewhere: web, NoSystem: "none", Now: at})
	check(t, r, "signature", inspect.NotMade, "404")
	check(t, r, "discovery", inspect.Failed, "404")
}

func TestOfflineAsksNobody(t *testing.T) {
	signer := newSigner(t)
	s := newSystem(t, signer)
	r := inspect.Inspect(t.Context(), inspect.Read(mint(t, signer, name, grant())), inspect.Config{Offline: true, System: s, Elsewhere: s, Now: at})
	if !r.OK || r.Complete || !slices.Equal(r.With(inspect.NotMade), []string{"issuer", "signature", "discovery", "audience", "liveness"}) || s.reviews > 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTokensInSecrets(t *testing.T) {
	signer := newSigner(t)
	s := newSystem(t, signer)
	minted, err := boundtoken.MintLegacy(t.Context(), signer, boundtoken.NewLegacyClaims("ns", "kept", boundtoken.Ref{Name: "robot", UID: "u"}))
	if err != nil {
		t.Fatal(err)
	}
	token := inspect.Read(minted.Reveal())
	r := inspect.Inspect(t.Context(), token, inspect.Config{System: s, Audiences: []string{"api"}})
	check(t, r, "form", inspect.Passed, "kept in a Secret")
	check(t, r, "signature", inspect.Passed, "")
	check(t, r, "audience", inspect.Failed, "for the API server alone")
	check(t, r, "time", inspect.Passed, "no end")
	check(t, r, "liveness", inspect.Passed, "robot")
	if r.Life != nil || len(token.OtherClaims()) > 0 {
		t.Errorf("life %+v, other claims %v", r.Life, token.OtherClaims())
	}
	s.keys = jwks.New(newSigner(t).Key())
	s.reviews = 0
	r = inspect.Inspect(t.Context(), token, inspect.Config{System: s})
	check(t, r, "audience", inspect.NotMade, "name the recipient with --audience; the token is for the API of the system that made it alone")
	check(t, r, "signature", inspect.Failed, "no keys found")
	if s.reviews > 0 {
		t.Error("a token of somebody else's key was sent")
	}
}

func TestUnreadableTokens(t *testing.T) {
	const header, claims = `{"alg":"RS256","kid":"k"}`, `{"iss":"a"}`
	for what, tc := range map[string]struct{ token, reason, text string }{
		"no token":         {"hello", "1 parts instead of 3", ""},
		"binary":           {"\x00\xff\x1b[2J", "1 parts", ""},
		"two parts":        {"a.b", "2 parts", ""},
		"too long":         {strings.Repeat("a", 70_000), "longer than 65536", ""},
		"alg none":         {unsigned(`{"alg":"none"}`, claims), `"none" is not allowed`, `"none"`},
		"brings a key":     {unsigned(`{"alg":"RS256","jku":"https://evil"}`, claims), `"jku" is not allowed`, "evil"},
		"repeated claim":   {unsigned(header, `{"iss":"a","iss":"b"}`), `repeats "iss"`, `"b"`},
		"wrong type":       {unsigned(header, `{"exp":"soon"}`), "right types", "soon"},
		"escape sequences": {unsigned(header, "{\"iss\":1,\"x\":\"\u009b31m\u202e\"}"), "right types", `\u009b31m\u202e`},
		"not JSON":         {unsigned(header, `{`), "not", ""},
		"deep":             {unsigned(header, strings.Repeat(`{"a":`, 9)+"1"+strings.Repeat("}", 9)), "deeper", `"a"`},
	} {
		t.Run(what, func(t *testing.T) {
			token := inspect.Read(tc.token)
			r := inspect.Inspect(t.Context(), token, inspect.Config{Offline: true})
			check(t, r, "form", inspect.Failed, tc.reason)
			if r.OK || len(r.Checks) != 7 || len(r.With(inspect.NotMade)) != 6 || r.Claims != nil || r.Life != nil {
				t.Errorf("got %+v", r)
			}
			if shown := r.HeaderText + r.ClaimsText; !strings.Contains(shown, tc.text) || strings.ContainsFunc(shown, func(c rune) bool { return c > '~' || c < '\n' }) {
				t.Errorf("shown %q, want %q", shown, tc.text)
			}
		})
	}
}

func TestIncompleteTokensAreNotSent(t *testing.T) {
	signer := newSigner(t)
	s := newSystem(t, signer)
	signed, err := signer.Sign(t.Context(), []byte(`{"iss":"`+name+`","sub":"me","exp":1893553445,"iat":1893553000,"extra":1}`))
	if err != nil {
		t.Fatal(err)
	}
	token := inspect.Read(signed.Reveal())
	r := inspect.Inspect(t.Context(), token, inspect.Config{System: s})
	check(t, r, "form", inspect.Failed, "names no service account")
	check(t, r, "signature", inspect.Passed, "")
	check(t, r, "liveness", inspect.NotMade, "not complete")
	if s.reviews > 0 || !slices.Equal(token.OtherClaims(), []string{"extra"}) {
		t.Errorf("%d reviews, other claims %v", s.reviews, token.OtherClaims())
	}
}

func FuzzReadAndInspect(f *testing.F) {
	f.Add("a.b.c")
	f.Add(unsigned(`{"alg":"RS256","kid":"k"}`, `{"iss":"a","exp":1,"iat":0,"kubernetes.io":{"pod":{"name":"\u001b"}}}`))
	f.Add(unsigned(`{"alg":"RS256"}`, `{"iss":"kubernetes/serviceaccount"}`))
	f.Fuzz(func(t *testing.T, text string) {
		token := inspect.Read(text)
		r := inspect.Inspect(t.Context(), token, inspect.Config{Offline: true, Audiences: []string{"a"}, Now: at})
		for _, c := range r.Checks {
			if strings.ContainsFunc(c.Reason, func(c rune) bool { return c < ' ' || c == 0x7f || c > '~' && c != '…' }) {
				t.Errorf("%s says %q", c.Name, c.Reason)
			}
		}
		if token.String() != "[redacted]" {
			t.Error("the token prints")
		}
	})
}
