package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

func key(t testing.TB, k crypto.Signer, err error) boundtoken.Key {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out, err := boundtoken.NewKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rsaKey(t testing.TB) boundtoken.Key {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	return key(t, k, err)
}

func ecKey(t testing.TB, c elliptic.Curve) boundtoken.Key {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	return key(t, k, err)
}

func TestPublishedFormIsThatOfTheAPIServer(t *testing.T) {
	r, e := rsaKey(t), ecKey(t, elliptic.P384())
	data, err := json.Marshal(jwks.New(r, e, r))
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Keys []map[string]string }
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Keys) != 2 {
		t.Fatalf("%d keys in %s", len(got.Keys), data)
	}
	check := func(got map[string]string, want map[string]string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("parameters %v", got)
		}
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s is %q, want %q", name, got[name], v)
			}
		}
	}
	n := base64.RawURLEncoding.EncodeToString(r.Public.(*rsa.PublicKey).N.Bytes())
	check(got.Keys[0], map[string]string{"use": "sig", "kty": "RSA", "kid": r.ID, "alg": "RS256", "n": n, "e": "AQAB"})
	pub := e.Public.(*ecdsa.PublicKey)
	coordinate := func(i *big.Int) string { return base64.RawURLEncoding.EncodeToString(i.FillBytes(make([]byte, 48))) }
	check(got.Keys[1], map[string]string{"use": "sig", "kty": "EC", "kid": e.ID, "alg": "ES384", "crv": "P-384", "x": coordinate(pub.X), "y": coordinate(pub.Y)})
}

func TestEmptySetIsAList(t *testing.T) {
	if data, err := json.Marshal(jwks.New()); string(data) != `{"keys":[]}` {
		t.Errorf("%s, %v", data, err)
	}
}

func TestLookup(t *testing.T) {
	a, b := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P521())
	same := b
	same.ID = a.ID
	s := jwks.New(a, b, same)
	if got := s.Find(a.ID); len(got) != 2 {
		t.Errorf("%d keys share an ID, want 2", len(got))
	}
	if got := s.Find(""); len(got) != 3 {
		t.Errorf("%d keys in all, want 3", len(got))
	}
	if got := s.Find("other"); got != nil {
		t.Errorf("unknown ID gives %v", got)
	}
	if got := fmt.Sprint(s.Algorithms()); got != "[ES256 ES512]" {
		t.Errorf("algorithms %s", got)
	}
}

func TestContains(t *testing.T) {
	a, b := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	forged, renamed := b, a
	forged.ID, renamed.ID = a.ID, b.ID
	s := jwks.New(ecKey(t, elliptic.P256()), a)
	for name, tc := range map[string]struct {
		key  boundtoken.Key
		want bool
	}{"one of them": {a, true}, "another": {b, false}, "another by the ID of one": {forged, false}, "one by another ID": {renamed, false}, "none": {}} {
		if got := s.Contains(tc.key); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestParseReadsWhatIsPublished(t *testing.T) {
	in := jwks.New(rsaKey(t), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521()))
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwks.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(out)
	if err != nil || string(again) != string(data) {
		t.Errorf("%s\nread again is\n%s, %v", data, again, err)
	}
}

func TestParseLeavesOutAndRefuses(t *testing.T) {
	data, err := json.Marshal(jwks.New(ecKey(t, elliptic.P256())))
	if err != nil {
		t.Fatal(err)
	}
	ec := strings.TrimSuffix(strings.TrimPrefix(string(data), `{"keys":[`), `]}`)
	for name, tc := range map[string]struct {
		keys string
		n    int
		err  string
	}{
		"as it is":          {ec, 1, ""},
		"no use, no alg":    {strings.NewReplacer(`"use":"sig",`, "", `"alg":"ES256",`, "").Replace(ec), 1, ""},
		"for encryption":    {strings.Replace(ec, `"use":"sig"`, `"use":"enc"`, 1), 0, ""},
		"another algorithm": {strings.Replace(ec, `"ES256"`, `"ECDH-ES"`, 1), 0, ""},
		"another type":      {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"},` + ec, 1, ""},
		"small RSA":         {`{"kty":"RSA","n":"AQAB","e":"AQAB"},` + ec, 1, ""},
		"off the curve":     {`{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`, 0, "keys[0]: not a public key"},
		"private":           {strings.Replace(ec, `"use"`, `"d":"AQAB","use"`, 1), 0, "keys[0]: it is a secret key"},
		"symmetric":         {ec + `,{"kty":"oct","k":"c2VjcmV0"}`, 0, "keys[1]: it is a secret key"},
		"not an object":     {`7`, 0, "keys[0]: not a JSON object"},
		"too many":          {strings.Repeat(ec+",", jwks.MaxKeys) + ec, 0, "more than 200"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := jwks.Parse([]byte(`{"keys":[` + tc.keys + `]}`))
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, want %s", err, tc.err)
				}
			case err != nil:
				t.Error(err)
			case len(s.Find("")) != tc.n:
				t.Errorf("%d keys, want %d", len(s.Find("")), tc.n)
			}
		})
	}
	for _, text := range []string{``, `[]`, `{}`, `{"keys":7}`, strings.Repeat(" ", jwks.MaxSize+1)} {
		if _, err := jwks.Parse([]byte(text)); err == nil {
			t.Errorf("%.20q parses", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := json.Marshal(jwks.New(ecKey(f, elliptic.P256()), rsaKey(f)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := jwks.Parse(data)
		if err != nil {
			return
		}
		for _, k := range s.Find("") {
			if !k.Algorithm.Valid() {
				t.Fatalf("key %q of algorithm %q", k.ID, k.Algorithm)
			}
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jwks.Parse(out); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	})
}
