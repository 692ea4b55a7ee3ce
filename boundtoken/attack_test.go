package boundtoken_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

// with returns a copy of header m with one more entry.
func with(m map[string]any, k string, v any) map[string]any {
	m = maps.Clone(m)
	m[k] = v
	return m
}

func without(m map[string]any, k string) map[string]any {
	m = maps.Clone(m)
	delete(m, k)
	return m
}

// TestAttacks is the table of what never passes, each with a reason of its own.
// Every token here would pass but for the one thing that is named.
func TestAttacks(t *testing.T) {
	ours, theirs := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	s := signer(t, ours)
	rs := signer(t, rsaKey())
	good := mint(t, s, claims())
	parts := strings.Split(good, ".")
	payload := string(decode(t, parts[1]))
	header := map[string]any{"alg": "ES256", "kid": s.Key().ID}
	jwk := map[string]any{"kty": "EC", "crv": "P-256",
		"x": b64(theirs.X.FillBytes(make([]byte, 32))), "y": b64(theirs.Y.FillBytes(make([]byte, 32)))}
	rsaDER, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaDER})

	changed := func(old, new string) string {
		out := strings.Replace(payload, old, new, 1)
		if out == payload {
			t.Fatalf("payload has no %s: %s", old, payload)
		}
		return out
	}
	resigned := func(payload string) string { return forge(t, header, payload, ours) }
	flipped := func(b []byte, i int) string { b[i] ^= 1; return b64(b) }
	later := func(d time.Duration) func(*boundtoken.Expected) {
		return func(e *boundtoken.Expected) { e.Time = at.Add(d) }
	}

	for _, tc := range []struct {
		name   string
		token  string
		change func(*boundtoken.Expected)
		reason boundtoken.Reason
		text   string // part of the message
	}{
		{name: "empty", token: "", reason: boundtoken.Malformed, text: "1 parts"},
		{name: "opaque", token: "abcdef", reason: boundtoken.Malformed, text: "1 parts"},
		{name: "no signature part", token: parts[0] + "." + parts[1], reason: boundtoken.Malformed, text: "2 parts"},
		{name: "empty signature", token: parts[0] + "." + parts[1] + ".", reason: boundtoken.Malformed, text: "signature is empty"},
		{name: "fourth part", token: good + ".AAAA", reason: boundtoken.Malformed, text: "4 parts"},
		{name: "JSON form", token: `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, reason: boundtoken.Malformed, text: "1 parts"},
		{name: "space in front", token: " " + good, reason: boundtoken.Malformed, text: "not base64url"},
		{name: "line break in signature", token: good[:len(good)-4] + "\n" + good[len(good)-4:], reason: boundtoken.Malformed, text: "signature is not base64url"},
		{name: "padding", token: good + "==", reason: boundtoken.Malformed, text: "not base64url"},
		{name: "standard alphabet", token: parts[0] + "." + parts[1] + "." + base64.RawStdEncoding.EncodeToString([]byte{0xfb, 0xff, 0xfe}), reason: boundtoken.Malformed, text: "not base64url"},
		{name: "loose bits at the end", token: good[:len(good)-1] + next(good[len(good)-1]), reason: boundtoken.Malformed, text: "not base64url"},
		{name: "oversize", token: strings.Repeat("A", boundtoken.MaxSize) + "." + parts[1] + "." + parts[2], reason: boundtoken.TooLarge, text: "longer than 65536"},

		{name: "alg none without signature", token: forge(t, map[string]any{"alg": "none"}, payload, nil), reason: boundtoken.BadAlgorithm, text: `"none"`},
		{name: "alg none with the old signature", token: b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2], reason: boundtoken.BadAlgorithm, text: `"none"`},
		{name: "alg None", token: b64([]byte(`{"alg":"None"}`)) + "." + parts[1] + "." + parts[2], reason: boundtoken.BadAlgorithm, text: `"None"`},
		{name: "no alg", token: forge(t, without(header, "alg"), payload, ours), reason: boundtoken.BadAlgorithm, text: `""`},
		{name: "HS256 with the public key in PEM", token: forge(t, map[string]any{"alg": "HS256", "kid": rs.Key().ID}, payload, rsaPEM), reason: boundtoken.BadAlgorithm, text: `"HS256"`},
		{name: "HS256 with the public key in DER", token: forge(t, map[string]any{"alg": "HS256", "kid": rs.Key().ID}, payload, rsaDER), reason: boundtoken.BadAlgorithm, text: `"HS256"`},
		{name: "PS256", token: forge(t, with(header, "alg", "PS256"), payload, ours), reason: boundtoken.BadAlgorithm, text: `"PS256"`},
		{name: "EdDSA", token: forge(t, with(header, "alg", "EdDSA"), payload, ours), reason: boundtoken.BadAlgorithm, text: `"EdDSA"`},
		{name: "RS256 said, ES256 key", token: forge(t, with(header, "alg", "RS256"), payload, ours), reason: boundtoken.BadAlgorithm, text: "not that of the key"},
		{name: "RS256 said, no kid", token: forge(t, map[string]any{"alg": "RS256"}, payload, ours), reason: boundtoken.BadAlgorithm, text: "not that of the key",
			change: func(e *boundtoken.Expected) { e.Keys = jwks.New(s.Key()) }},

		{name: "jwk in the header", token: forge(t, with(header, "jwk", jwk), payload, theirs), reason: boundtoken.BadHeader, text: `"jwk"`},
		{name: "jku in the header", token: forge(t, with(header, "jku", "https://evil.example/keys"), payload, theirs), reason: boundtoken.BadHeader, text: `"jku"`},
		{name: "x5u in the header", token: forge(t, with(header, "x5u", "https://evil.example/cert"), payload, theirs), reason: boundtoken.BadHeader, text: `"x5u"`},
		{name: "x5c in the header", token: forge(t, with(header, "x5c", []string{"MIIB"}), payload, theirs), reason: boundtoken.BadHeader, text: `"x5c"`},
		{name: "crit in the header", token: forge(t, with(header, "crit", []string{"b64"}), payload, ours), reason: boundtoken.BadHeader, text: `"crit"`},
		{name: "b64 in the header", token: forge(t, with(header, "b64", false), payload, ours), reason: boundtoken.BadHeader, text: `"b64"`},
		{name: "another case of alg", token: forge(t, `{"alg":"ES256","ALG":"none"}`, payload, ours), reason: boundtoken.BadHeader, text: `"ALG"`},
		{name: "alg twice", token: forge(t, `{"alg":"none","alg":"ES256"}`, payload, ours), reason: boundtoken.Malformed, text: `header repeats "alg"`},
		{name: "header not an object", token: forge(t, `["ES256"]`, payload, ours), reason: boundtoken.Malformed, text: "header is not a JSON object"},
		{name: "kid a number", token: forge(t, with(header, "kid", 7), payload, ours), reason: boundtoken.Malformed, text: "header is not of the right types"},
		{name: "kid too long", token: forge(t, with(header, "kid", strings.Repeat("k", 1025)), payload, ours), reason: boundtoken.BadHeader, text: "longer than 1024"},
		{name: "kid unknown", token: forge(t, with(header, "kid", "other"), payload, ours), reason: boundtoken.UnknownKey, text: "invalid signature, no keys found"},
		{name: "kid a path", token: forge(t, with(header, "kid", "../../dev/null"), payload, ours), reason: boundtoken.UnknownKey, text: "no keys found"},
		{name: "kid an injection", token: forge(t, with(header, "kid", `' OR '1'='1`), payload, ours), reason: boundtoken.UnknownKey, text: "no keys found"},
		{name: "typ of something else", token: forge(t, with(header, "typ", "dpop+jwt"), payload, ours), reason: boundtoken.BadHeader, text: "not JWT"},

		{name: "foreign key, our kid", token: forge(t, header, payload, theirs), reason: boundtoken.BadSignature, text: "signed with another key"},
		{name: "foreign key, no kid", token: forge(t, without(header, "kid"), payload, theirs), reason: boundtoken.BadSignature, text: "signed with another key"},
		{name: "kid of our other key", token: forge(t, map[string]any{"alg": "ES256", "kid": rs.Key().ID}, payload, ours), reason: boundtoken.BadAlgorithm, text: "not that of the key"},
		{name: "tampered payload", token: parts[0] + "." + b64([]byte(changed("build-robot", "admin-robot"))) + "." + parts[2], reason: boundtoken.BadSignature, text: "changed"},
		{name: "tampered header", token: b64([]byte(`{"alg":"ES256"}`)) + "." + parts[1] + "." + parts[2], reason: boundtoken.BadSignature, text: "changed"},
		{name: "tampered signature", token: parts[0] + "." + parts[1] + "." + flipped(decode(t, parts[2]), 10), reason: boundtoken.BadSignature, text: "changed"},
		{name: "truncated signature", token: parts[0] + "." + parts[1] + "." + b64(decode(t, parts[2])[:63]), reason: boundtoken.BadSignature, text: "changed"},
		{name: "signature of zeros", token: parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), reason: boundtoken.BadSignature, text: "changed"},
		{name: "signature longer", token: parts[0] + "." + parts[1] + "." + b64(append(decode(t, parts[2]), 0)), reason: boundtoken.BadSignature, text: "changed"},

		{name: "payload cut off", token: resigned(payload[:len(payload)-1]), reason: boundtoken.Malformed, text: "not JSON"},
		{name: "text after the payload", token: resigned(payload + `{"aud":["vault"]}`), reason: boundtoken.Malformed, text: "goes on after its end"},
		{name: "payload not an object", token: resigned(`"text"`), reason: boundtoken.Malformed, text: "not a JSON object"},
		{name: "claim twice", token: resigned(changed(`{"aud":`, `{"aud":["api"],"aud":`)), reason: boundtoken.Malformed, text: `repeats "aud"`},
		{name: "claim twice, one escaped", token: resigned(changed(`{"aud":`, `{"\u0061ud":["api"],"aud":`)), reason: boundtoken.Malformed, text: `repeats "aud"`},
		{name: "inner claim twice", token: resigned(changed(`{"name":"nginx"`, `{"name":"other","name":"nginx"`)), reason: boundtoken.Malformed, text: `repeats "name"`},
		{name: "claim twice in an unknown one", token: resigned(changed(`{"aud"`, `{"x":[{"a":1,"a":2}],"aud"`)), reason: boundtoken.Malformed, text: `repeats "a"`},
		{name: "deep nesting", token: resigned(changed(`{"aud"`, `{"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`,"aud"`)), reason: boundtoken.Malformed, text: "nests deeper than 8"},
		{name: "broken UTF-8", token: resigned(changed("build-robot", "build\xffrobot")), reason: boundtoken.Malformed, text: "not UTF-8"},
		{name: "aud a string", token: resigned(changed(`["vault"]`, `"vault"`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp a fraction", token: resigned(changed(`"exp":1893560645`, `"exp":1893560645.5`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp with exponent", token: resigned(changed(`"exp":1893560645`, `"exp":1e300`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp negative", token: resigned(changed(`"exp":1893560645`, `"exp":-1`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp text", token: resigned(changed(`"exp":1893560645`, `"exp":"1893560645"`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp null", token: resigned(changed(`"exp":1893560645`, `"exp":null`)), reason: boundtoken.Malformed, text: "right types"},
		{name: "exp beyond the calendar", token: resigned(changed(`"exp":1893560645`, `"exp":99999999999999`)), reason: boundtoken.Malformed, text: "right types"},

		{name: "no exp", token: resigned(changed(`"exp":1893560645,`, ``)), reason: boundtoken.BadClaims, text: "no expiry"},
		{name: "EXP instead of exp", token: resigned(changed(`"exp"`, `"EXP"`)), reason: boundtoken.BadClaims, text: "no expiry"},
		{name: "subject of someone else", token: resigned(changed(`"sub":"system:serviceaccount:default:build-robot"`, `"sub":"system:admin"`)), reason: boundtoken.BadClaims, text: "not its service account"},
		{name: "no service account", token: resigned(changed(`"serviceaccount":{"name":"build-robot","uid":"sa-uid"}`, `"serviceaccount":{}`)), reason: boundtoken.BadClaims, text: "names no service account"},
		{name: "pod without uid", token: resigned(changed(`,"uid":"pod-uid"`, ``)), reason: boundtoken.BadClaims, text: "without name or uid"},
		{name: "pod and secret", token: resigned(changed(`"pod":`, `"secret":{"name":"s","uid":"u"},"pod":`)), reason: boundtoken.BadClaims, text: "secret and to something else"},
		{name: "issuer missing", token: resigned(changed(`"iss":"https://kubernetes.default.svc",`, ``)), reason: boundtoken.WrongIssuer, text: `token issuer "" is invalid`},
		{name: "issuer wrong", token: good, reason: boundtoken.WrongIssuer, text: `token issuer "https://kubernetes.default.svc" is invalid`,
			change: func(e *boundtoken.Expected) { e.Issuers = []boundtoken.Issuer{parseIssuer(issuer + "/")} }},
		{name: "audience wrong", token: good, reason: boundtoken.WrongAudience, text: `token audiences ["vault"] is invalid for the target audiences ["api" "Vault"]`,
			change: func(e *boundtoken.Expected) { e.Audiences = []string{"api", "Vault"} }},
		{name: "audience missing", token: resigned(changed(`"aud":["vault"],`, ``)), reason: boundtoken.WrongAudience, text: "is invalid for the target audiences"},
		{name: "audience empty list", token: resigned(changed(`["vault"]`, `[]`)), reason: boundtoken.WrongAudience, text: "is invalid for the target audiences"},
		{name: "nobody expected", token: good, reason: boundtoken.WrongAudience, text: "target audiences []",
			change: func(e *boundtoken.Expected) { e.Audiences = nil }},
		{name: "expired", token: good, change: later(2*time.Hour + 61*time.Second), reason: boundtoken.Expired, text: "service account token has expired"},
		{name: "before nbf", token: good, change: later(-61 * time.Second), reason: boundtoken.NotYetValid, text: "service account token is not valid yet"},
		{name: "before iat", token: resigned(changed(`"nbf":1893553445,`, ``)), change: later(-61 * time.Second), reason: boundtoken.IssuedInFuture, text: "service account token is issued in the future"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := expected(s, rs)
			if tc.change != nil {
				tc.change(&want)
			}
			v, err := boundtoken.Verify(t.Context(), tc.token, want)
			if err == nil {
				t.Fatalf("passed: %+v", v.Claims)
			}
			if got := boundtoken.ReasonOf(err); got != tc.reason || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("reason %s, %q; want %s, %q", got, err, tc.reason, tc.text)
			}
			if len(parts[2]) > 20 && strings.Contains(err.Error(), parts[2]) {
				t.Error("the message holds the signature")
			}
		})
	}
	if _, err := boundtoken.Verify(t.Context(), good, expected(s, rs)); err != nil {
		t.Errorf("the token that the attacks are made from: %v", err)
	}
	if _, err := boundtoken.Verify(t.Context(), resigned(payload), expected(s, rs)); err != nil {
		t.Errorf("forging with our key: %v", err)
	}
}

func decode(t testing.TB, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// next returns the character after c in the base64url alphabet: at the end of a
// 64-byte signature the lowest four bits of the last one are not used.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)+1:][:1]
}
