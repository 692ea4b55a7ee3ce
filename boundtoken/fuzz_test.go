package boundtoken_test

import (
	"crypto/elliptic"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"laterna.dev/laterna/boundtoken"
)

func seed(f *testing.F, tokens ...string) {
	for _, t := range append(tokens, "", "a.b.c", "...", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat(".", 100)) {
		f.Add(t)
	}
}

// FuzzParse: whatever parses is small, of an allowed algorithm, and its claims
// survive being encoded and read again.
func FuzzParse(f *testing.F) {
	k := ecKey(f, elliptic.P256())
	seed(f, mint(f, signer(f, k), claims()),
		forge(f, `{"alg":"ES256","alg":"none"}`, `{"aud":["a"],"aud":["b"]}`, k),
		forge(f, `{"alg":"ES256"}`, `{"exp":1e9,"kubernetes.io":{"pod":null}}`, k),
		forge(f, `{"alg":"ES256"}`, string(toJSON(f, legacyClaims())), k),
		forge(f, `{"alg":"ES256"}`, `{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":{}}`, k))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := boundtoken.Parse(text)
		if err != nil {
			if boundtoken.ReasonOf(err) == "" {
				t.Fatalf("a refusal without a reason: %v", err)
			}
			return
		}
		if len(text) > boundtoken.MaxSize || !p.Header().Algorithm.Valid() || !boundtoken.LooksLike(text) {
			t.Fatalf("parsed: %+v", p.Header())
		}
		c := p.UnverifiedClaims()
		if legacy, ok := p.UnverifiedLegacyClaims(); ok && (legacy.Issuer != c.Issuer || legacy.Subject != c.Subject || c.Check() == nil) {
			t.Fatalf("claims %+v are also %+v", legacy, c)
		}
		var again boundtoken.Claims
		if err := json.Unmarshal(toJSON(t, c), &again); err != nil {
			t.Fatal(err)
		}
		if len(c.Audience) == 0 {
			c.Audience, again.Audience = nil, nil
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("claims %+v read again are %+v", c, again)
		}
	})
}

// FuzzVerify: nothing that can be made from a token without the key passes, other
// than the token itself.
func FuzzVerify(f *testing.F) {
	s := signer(f, ecKey(f, elliptic.P256()))
	good := mint(f, s, claims())
	want := expected(s)
	parts := strings.Split(good, ".")
	seed(f, good, good+"=", good+".", parts[0]+"."+parts[1]+".", " "+good, good[:len(good)-1], strings.ToUpper(good),
		b64([]byte(`{"alg":"none"}`))+"."+parts[1]+"."+parts[2])
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := boundtoken.Verify(t.Context(), text, want); (err == nil) != (text == good) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
