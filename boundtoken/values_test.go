package boundtoken_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"laterna.dev/laterna/boundtoken"
)

func TestSubjectsAreServiceAccounts(t *testing.T) {
	for text, want := range map[string]bool{
		"system:serviceaccount:default:build-robot":                                                                 true,
		"system:serviceaccount:kube-system:a.b-c.d0":                                                                true,
		"system:serviceaccount:" + strings.Repeat("n", 63) + ":default":                                             true,
		"system:serviceaccount:" + strings.Repeat("n", 64) + ":default":                                             false,
		"system:serviceaccount:default:" + strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("a", 61): true,
		"system:serviceaccount:default:" + strings.Repeat("a", 254):                                                 false,
		"":                                       false,
		"default:build-robot":                    false,
		"system:serviceaccount:default":          false,
		"system:serviceaccount::build-robot":     false,
		"system:serviceaccount:default:":         false,
		"system:serviceaccount:a:b:c":            false,
		"system:serviceaccount:a.b:c":            false,
		"system:serviceaccount:Default:c":        false,
		"system:serviceaccount:-a:c":             false,
		"system:serviceaccount:a:c-":             false,
		"system:serviceaccount:a:c..d":           false,
		"system:serviceaccount:a:c\n":            false,
		"system:serviceaccounts:a:c":             false,
		"system:serviceaccount:d\u00e9fault:any": false,
	} {
		s, err := boundtoken.ParseSubject(text)
		if (err == nil) != want || s.IsZero() == want {
			t.Errorf("%q: %v, %v; want it read: %t", text, s, err, want)
		}
	}
	s, err := boundtoken.NewSubject("ns", "robot")
	if err != nil || s.Namespace() != "ns" || s.Name() != "robot" || s.String() != "system:serviceaccount:ns:robot" {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := boundtoken.NewSubject("ns:robot", "x"); err == nil {
		t.Error("a colon in a namespace would make another subject of it")
	}
}

func TestIssuersAreNames(t *testing.T) {
	for text, want := range map[string]struct{ read, discoverable bool }{
		"https://tokens.example":       {true, true},
		"https://tokens.example/a/":    {true, true},
		"https://tokens.example:8443":  {true, true},
		"http://tokens.example":        {true, false},
		"https://tokens.example?a=b":   {true, false},
		"https://tokens.example?":      {true, false},
		"https://tokens.example#a":     {true, false},
		"https:///path":                {true, false},
		"kubernetes/serviceaccount":    {true, false},
		"urn:example:issuer":           {true, false},
		"":                             {false, false},
		"10.0.0.1:443/x":               {false, false},
		"https://tokens.example\n":     {false, false},
		"plain\x00":                    {false, false},
		"plain\xff":                    {false, false},
		"https://tokens.example/\x1b[": {false, false},
	} {
		i, err := boundtoken.ParseIssuer(text)
		if (err == nil) != want.read || i.IsZero() == want.read || (i.Discoverable() == nil) != want.discoverable {
			t.Errorf("%q: %q, %v, discoverable: %v; want %+v", text, i, err, i.Discoverable(), want)
		}
	}
	for _, text := range []string{"https://a.example/b", "https://a.example/b/"} {
		if got := parseIssuer(text).DiscoveryURL(); got != "https://a.example/b/.well-known/openid-configuration" {
			t.Errorf("%s is discovered at %s", text, got)
		}
	}
	if parseIssuer("https://a.example") == parseIssuer("https://a.example/") {
		t.Error("issuers are the same byte by byte only")
	}
}

func TestValuesAreReadFromJSON(t *testing.T) {
	type values struct {
		Issuer  boundtoken.Issuer
		Subject boundtoken.Subject
	}
	const text = `{"Issuer":"https://a.example","Subject":"system:serviceaccount:ns:robot"}`
	var v values
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.Subject.Name() != "robot" {
		t.Fatalf("%+v: %v", v, err)
	}
	if got := string(toJSON(t, v)); got != text {
		t.Errorf("written again: %s", got)
	}
	for _, bad := range []string{`{"Issuer":""}`, `{"Subject":""}`, `{"Issuer":"a b:c"}`, `{"Subject":"admin"}`} {
		if err := json.Unmarshal([]byte(bad), &values{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if raw, err := json.Marshal(values{}); err == nil {
		t.Errorf("values that are not set were written: %s", raw)
	}
}

func TestVerifiedTokensNameTheirAccount(t *testing.T) {
	s := signer(t, rsaKey())
	v, err := boundtoken.Verify(t.Context(), mint(t, s, claims()), expected(s))
	if err != nil {
		t.Fatal(err)
	}
	if v.Issuer != parseIssuer(issuer) || v.Subject.Namespace() != "default" || v.Subject.Name() != "build-robot" || v.Subject.String() != v.Claims.Subject {
		t.Errorf("issuer %s, subject %s", v.Issuer, v.Subject)
	}
	for what, c := range map[string]boundtoken.Claims{"namespace": claims(), "name": claims()} {
		if what == "namespace" {
			c.Kubernetes.Namespace, c.Subject = "default:build", "system:serviceaccount:default:build:build-robot"
		} else {
			c.Kubernetes.ServiceAccount.Name, c.Subject = "build:robot", "system:serviceaccount:default:build:robot"
		}
		if err := c.Check(); boundtoken.ReasonOf(err) != boundtoken.BadClaims {
			t.Errorf("a colon in the %s: %v", what, err)
		}
	}
	nobody := expected(s)
	nobody.Issuers = []boundtoken.Issuer{{}}
	unnamed := claims()
	unnamed.Issuer = ""
	if _, err := boundtoken.Verify(t.Context(), forge(t, map[string]any{"alg": "RS256", "kid": s.Key().ID}, unnamed, rsaKey()), nobody); boundtoken.ReasonOf(err) != boundtoken.WrongIssuer {
		t.Errorf("a token without issuer, and an issuer that is not set: %v", err)
	}
}

// FuzzParseSubject: what is read is what Kubernetes allows, and reads again as itself.
func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"", "system:serviceaccount:default:build-robot", "system:serviceaccount:a:b:c", "system:serviceaccount:a.b:c", "system:serviceaccount:a:b.c-", "system:serviceaccount::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rest, prefixed := strings.CutPrefix(text, "system:serviceaccount:")
		parts := strings.Split(rest, ":")
		valid := prefixed && len(parts) == 2 && len(validation.IsDNS1123Label(parts[0])) == 0 && len(validation.IsDNS1123Subdomain(parts[1])) == 0
		s, err := boundtoken.ParseSubject(text)
		if (err == nil) != valid {
			t.Fatalf("%q: %v, want it read: %t", text, err, valid)
		}
		if again, err := boundtoken.NewSubject(s.Namespace(), s.Name()); valid && (err != nil || again != s || s.String() != text) {
			t.Fatalf("%q is %q, again %q: %v", text, s, again, err)
		}
	})
}

// FuzzParseIssuer: what is read keeps its text through JSON, and an issuer that can be
// discovered is so over TLS.
func FuzzParseIssuer(f *testing.F) {
	for _, s := range []string{"", issuer, "kubernetes/serviceaccount", "https://a b", "https://x/?q", "a:b", "\xff", "https://[::1]/", "HTTPS://x", "https://u:p@h/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := boundtoken.ParseIssuer(text)
		if err != nil {
			if !i.IsZero() {
				t.Fatalf("%q is refused and is %q", text, i)
			}
			return
		}
		var again boundtoken.Issuer
		if err := json.Unmarshal(toJSON(t, i), &again); err != nil || again != i || i.String() != text || !utf8.ValidString(text) {
			t.Fatalf("%q is %q, again %q: %v", text, i, again, err)
		}
		if i.Discoverable() == nil && !strings.HasPrefix(strings.ToLower(i.DiscoveryURL()), "https://") {
			t.Fatalf("%q is discovered at %s", text, i.DiscoveryURL())
		}
	})
}
