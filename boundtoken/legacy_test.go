package boundtoken_test

import (
	"context"
	"crypto/elliptic"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

func legacyClaims() boundtoken.LegacyClaims {
	return boundtoken.NewLegacyClaims("default", "build-robot-token-x7k2p", boundtoken.Ref{Name: "build-robot", UID: "sa-uid"})
}

// But for the ID, without which RSA keys sign the same token again.
func TestLegacyPayloadIsThatOfKubernetes(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	claims := legacyClaims()
	token, err := boundtoken.MintLegacy(context.Background(), s, claims)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.Reveal(), ".")
	want := `{"iss":"kubernetes/serviceaccount","jti":"` + claims.ID + `","kubernetes.io/serviceaccount/namespace":"default",` +
		`"kubernetes.io/serviceaccount/secret.name":"build-robot-token-x7k2p",` +
		`"kubernetes.io/serviceaccount/service-account.name":"build-robot",` +
		`"kubernetes.io/serviceaccount/service-account.uid":"sa-uid","sub":"system:serviceaccount:default:build-robot"}`
	if got := string(decode(t, parts[1])); got != want {
		t.Errorf("payload\n%s\nwant\n%s", got, want)
	}
	p, err := boundtoken.Parse(token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := p.UnverifiedLegacyClaims(); !ok || c != claims {
		t.Errorf("read as %+v, %v", c, ok)
	}
	if _, err := p.VerifySignature(t.Context(), jwks.New(s.Key())); err != nil {
		t.Error(err)
	}
}

// A Secret that is made anew must not bring a token back that leaked with the old one.
func TestLegacyTokensDiffer(t *testing.T) {
	s := signer(t, rsaKey())
	one, err := boundtoken.MintLegacy(context.Background(), s, legacyClaims())
	if err != nil {
		t.Fatal(err)
	}
	two, err := boundtoken.MintLegacy(context.Background(), s, legacyClaims())
	if err != nil || one.Equal(two) {
		t.Errorf("two tokens for the same Secret are equal, %v", err)
	}
}

// A relying party cannot ask whether the Secret still holds the token, so it must not
// take it, whatever issuers it was told.
func TestVerifyRefusesLegacyTokens(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	token, err := boundtoken.MintLegacy(context.Background(), s, legacyClaims())
	if err != nil {
		t.Fatal(err)
	}
	_, err = boundtoken.Verify(t.Context(), token.Reveal(), boundtoken.Expected{
		Issuers: []boundtoken.Issuer{parseIssuer(boundtoken.LegacyIssuer)}, Audiences: []string{"api"}, Keys: jwks.New(s.Key()), Time: time.Now(),
	})
	if boundtoken.ReasonOf(err) != boundtoken.BadClaims {
		t.Errorf("verified with %v, want it refused for its claims", err)
	}
}

func TestLegacyClaimsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*boundtoken.LegacyClaims){
		"sub claim is missing":                func(c *boundtoken.LegacyClaims) { c.Subject = "" },
		"namespace claim is missing":          func(c *boundtoken.LegacyClaims) { c.Namespace = "" },
		"secretName claim is missing":         func(c *boundtoken.LegacyClaims) { c.Secret = "" },
		"serviceAccountName claim is missing": func(c *boundtoken.LegacyClaims) { c.ServiceAccount = "" },
		"serviceAccountUID claim is missing":  func(c *boundtoken.LegacyClaims) { c.ServiceAccountUID = "" },
		"sub claim is invalid":                func(c *boundtoken.LegacyClaims) { c.Namespace = "kube-system" },
		`token issuer "other" is invalid`:     func(c *boundtoken.LegacyClaims) { c.Issuer = "other" },
	} {
		c := legacyClaims()
		change(&c)
		if _, err := boundtoken.MintLegacy(context.Background(), signer(t, ecKey(t, elliptic.P256())), c); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The name of the issuer alone does not make a token one of a Secret.
func TestBoundTokensAreNoLegacyTokens(t *testing.T) {
	s := signer(t, ecKey(t, elliptic.P256()))
	for _, iss := range []string{issuer, boundtoken.LegacyIssuer} {
		c := claims()
		c.Issuer = iss
		p, err := boundtoken.Parse(mint(t, s, c))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.UnverifiedLegacyClaims(); ok {
			t.Errorf("issuer %s: read as %+v", iss, got)
		}
	}
	forged := forge(t, map[string]any{"alg": "ES256"}, map[string]any{"iss": boundtoken.LegacyIssuer, "kubernetes.io/serviceaccount/namespace": 7}, ecKey(t, elliptic.P256()))
	if _, err := boundtoken.Parse(forged); boundtoken.ReasonOf(err) != boundtoken.Malformed {
		t.Errorf("a number for the namespace: %v", err)
	}
}
