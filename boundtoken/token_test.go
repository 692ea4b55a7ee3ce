package boundtoken_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

func TestEveryAlgorithmSignsAndVerifies(t *testing.T) {
	for alg, s := range map[boundtoken.Algorithm]boundtoken.Signer{
		boundtoken.RS256: signer(t, rsaKey()),
		boundtoken.ES256: signer(t, ecKey(t, elliptic.P256())),
		boundtoken.ES384: signer(t, ecKey(t, elliptic.P384())),
		boundtoken.ES512: signer(t, ecKey(t, elliptic.P521())),
	} {
		t.Run(string(alg), func(t *testing.T) {
			text := mint(t, s, claims())
			want := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, s.Key().ID)
			if got := string(decode(t, strings.Split(text, ".")[0])); got != want {
				t.Errorf("header %s, want %s", got, want)
			}
			v, err := boundtoken.Verify(t.Context(), text, expected(signer(t, ecKey(t, elliptic.P256())), s))
			if err != nil {
				t.Fatal(err)
			}
			if v.Key.ID != s.Key().ID || !slices.Equal(v.Audiences, []string{"vault"}) {
				t.Errorf("verified with key %s for %v", v.Key.ID, v.Audiences)
			}
		})
	}
}

func TestPayloadIsThatOfKubernetes(t *testing.T) {
	c := claims()
	c.Kubernetes.WarnAfter = boundtoken.NewDate(at.Add(time.Hour))
	payload := string(decode(t, strings.Split(mint(t, signer(t, ecKey(t, elliptic.P256())), c), ".")[1]))
	want := `{"aud":["vault"],"exp":1893560645,"iat":1893553445,"iss":"https://kubernetes.default.svc","jti":"` + c.ID +
		`","kubernetes.io":{"namespace":"default","node":{"name":"node1","uid":"node-uid"},"pod":{"name":"nginx","uid":"pod-uid"},` +
		`"serviceaccount":{"name":"build-robot","uid":"sa-uid"},"warnafter":1893557045},"nbf":1893553445,"sub":"system:serviceaccount:default:build-robot"}`
	if payload != want {
		t.Errorf("payload\n%s\nwant\n%s", payload, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(c.ID) {
		t.Errorf("jti %q is not a random UUID", c.ID)
	}
}

// The expected value was computed with openssl.
func TestKeyIDIsTheDigestOfThePublicKey(t *testing.T) {
	block, _ := pem.Decode([]byte(`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEr27vxQJXIK0Yay+XlxQtE4mxcM2a
/vAIibrlMqIlQJFFqY63VFoDbv4or3V4KiZ70Otrzry2WXsxpijCJdAleQ==
-----END PUBLIC KEY-----`))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := boundtoken.KeyID(public); id != "jgmrTMYDr31-6ufQgpAOAI9pRtrdZFt3fo22z8MMzaQ" {
		t.Errorf("key ID %s, %v", id, err)
	}
}

func TestLeeway(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	text := mint(t, s, claims())
	for _, d := range []time.Duration{-60 * time.Second, 0, 2*time.Hour + 60*time.Second} {
		want := expected(s)
		want.Time = at.Add(d)
		if _, err := boundtoken.Verify(t.Context(), text, want); err != nil {
			t.Errorf("%v after issue: %v", d, err)
		}
	}
}

func TestAudiencesAreTheIntersectionInTheOrderAsked(t *testing.T) {
	c := claims()
	c.Audience = []string{"a", "b", "c"}
	got, err := c.CheckAudience([]string{"c", "x", "a"})
	if err != nil || !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("audiences %v, %v", got, err)
	}
}

func TestTokenWithoutKeyIDIsTriedWithAllKeys(t *testing.T) {
	k := ecKey(t, elliptic.P256())
	text := forge(t, map[string]any{"alg": "ES256", "typ": "JWT"}, claims(), k)
	want := expected(signer(t, rsaKey()), signer(t, ecKey(t, elliptic.P256())), signer(t, k))
	if _, err := boundtoken.Verify(t.Context(), text, want); err != nil {
		t.Error(err)
	}
}

func TestUnknownClaimsAreIgnored(t *testing.T) {
	k := ecKey(t, elliptic.P256())
	payload := strings.Replace(string(toJSON(t, claims())), "{", `{"future":{"a":[1,2,{"b":null}]},`, 1)
	if _, err := boundtoken.Verify(t.Context(), forge(t, map[string]any{"alg": "ES256"}, payload, k), expected(signer(t, k))); err != nil {
		t.Error(err)
	}
}

func TestMintRefuses(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	for name, tc := range map[string]struct {
		change func(*boundtoken.Claims)
		reason boundtoken.Reason
	}{
		"no issuer":    {func(c *boundtoken.Claims) { c.Issuer = "" }, boundtoken.BadClaims},
		"no expiry":    {func(c *boundtoken.Claims) { c.Expiry = 0 }, boundtoken.BadClaims},
		"no audience":  {func(c *boundtoken.Claims) { c.Audience = nil }, boundtoken.BadClaims},
		"no uid":       {func(c *boundtoken.Claims) { c.Kubernetes.ServiceAccount.UID = "" }, boundtoken.BadClaims},
		"too large":    {func(c *boundtoken.Claims) { c.Audience = []string{strings.Repeat("a", boundtoken.MaxSize)} }, boundtoken.TooLarge},
		"just too big": {func(c *boundtoken.Claims) { c.Audience = []string{strings.Repeat("a", boundtoken.MaxSize*3/4)} }, boundtoken.TooLarge},
	} {
		c := claims()
		tc.change(&c)
		if _, err := boundtoken.Mint(context.Background(), s, c); boundtoken.ReasonOf(err) != tc.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWeakAndForeignKeysAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boundtoken.NewSigner(small); err == nil {
		t.Error("an RSA key of 1024 bits signs")
	}
	if _, err := boundtoken.NewKey(small.Public()); err == nil {
		t.Error("an RSA key of 1024 bits verifies")
	}
	if _, err := boundtoken.NewKey(ecKey(t, elliptic.P224()).Public()); err == nil {
		t.Error("a P-224 key verifies")
	}
	if _, err := boundtoken.NewKey([]byte("secret")); err == nil {
		t.Error("a symmetric key verifies")
	}
}

func TestTokenNeverPrints(t *testing.T) {
	token := boundtoken.NewToken("eyJ.very.secret")
	type holder struct{ inner boundtoken.Token }
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("issued", "token", token, "in", holder{token})
	slog.New(slog.NewTextHandler(&log, nil)).Info("issued", "token", token, "in", holder{token})
	encoded, err := json.Marshal(map[string]any{"token": token, "list": []boundtoken.Token{token}})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q %x %d", token, token, token, token, token, token, token),
		fmt.Sprintf("%v %+v %#v", holder{token}, &holder{token}, []holder{{token}}),
		fmt.Errorf("oh: %v", token).Error(), string(encoded), log.String(),
	} {
		if strings.Contains(out, "secret") || strings.Contains(out, "736563726574") {
			t.Errorf("printed: %s", out)
		}
	}
	if !strings.Contains(log.String(), "[redacted]") || token.Reveal() != "eyJ.very.secret" {
		t.Errorf("log %s, token %s", log.String(), token.Reveal())
	}
	if !token.Equal(boundtoken.NewToken("eyJ.very.secret")) || token.Equal(boundtoken.Token{}) {
		t.Error("Equal")
	}
}

func TestLooksLike(t *testing.T) {
	for text, want := range map[string]bool{"a.b.c": true, "": false, "a.b": false, "a.b.c.d": false, "..": false, "a..c": false, "abc": false} {
		if boundtoken.LooksLike(text) != want {
			t.Errorf("LooksLike(%q) is not %v", text, want)
		}
	}
}

var _ boundtoken.Keys = (*jwks.Set)(nil)
