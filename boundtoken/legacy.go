package boundtoken

import (
	"context"
	"encoding/json"
	"fmt"

	josejson "github.com/go-jose/go-jose/v4/json" // matches names by case, unlike encoding/json
	"github.com/google/uuid"
)

// LegacyIssuer is the claim iss of tokens that are kept in Secrets.
const LegacyIssuer = "kubernetes/serviceaccount"

// LegacyClaims are the contents of a token that is kept in a Secret of the type
// kubernetes.io/service-account-token, in the order in which they are encoded. Such a
// token has no end and no audience: it is for the API server alone, and good as long
// as the Secret holds it. Verify refuses it; nobody else can tell whether it is good.
type LegacyClaims struct {
	Issuer string `json:"iss"`
	// ID makes every token another one. Upstream's have none: with an RSA key, a
	// Secret that is made anew holds the very token that was withdrawn with the old.
	ID                string `json:"jti,omitempty"`
	Namespace         string `json:"kubernetes.io/serviceaccount/namespace"`
	Secret            string `json:"kubernetes.io/serviceaccount/secret.name"`
	ServiceAccount    string `json:"kubernetes.io/serviceaccount/service-account.name"`
	ServiceAccountUID string `json:"kubernetes.io/serviceaccount/service-account.uid"`
	Subject           string `json:"sub"`
}

// NewLegacyClaims returns the claims of a service account's token in a Secret of its
// namespace, with a fresh ID (a random UUID).
func NewLegacyClaims(namespace, secret string, account Ref) LegacyClaims {
	return LegacyClaims{
		Issuer:            LegacyIssuer,
		ID:                uuid.NewString(),
		Namespace:         namespace,
		Secret:            secret,
		ServiceAccount:    account.Name,
		ServiceAccountUID: account.UID,
		Subject:           subjectText(namespace, account.Name),
	}
}

// Check tells whether the claims are complete and agree with each other, in the words
// of the API server.
func (c *LegacyClaims) Check() error {
	for _, claim := range []struct{ name, value string }{
		{"sub", c.Subject},
		{"namespace", c.Namespace},
		{"secretName", c.Secret},
		{"serviceAccountName", c.ServiceAccount},
		{"serviceAccountUID", c.ServiceAccountUID},
	} {
		if claim.value == "" {
			return refuse(BadClaims, "%s claim is missing", claim.name)
		}
	}
	if !names(c.Subject, c.Namespace, c.ServiceAccount) {
		return refuse(BadClaims, "sub claim is invalid")
	}
	return nil
}

// MintLegacy returns a token that says c, signed by s.
func MintLegacy(ctx context.Context, s Signer, c LegacyClaims) (Token, error) {
	if err := c.Check(); err != nil {
		return Token{}, err
	}
	if c.Issuer != LegacyIssuer {
		return Token{}, refuse(WrongIssuer, "token issuer %s is invalid", quote(c.Issuer))
	}
	payload, err := json.Marshal(&c)
	if err != nil {
		return Token{}, fmt.Errorf("encoding claims: %v", err)
	}
	t, err := s.Sign(ctx, payload)
	if err != nil {
		return Token{}, fmt.Errorf("signing token: %w", err)
	}
	return t, nil
}

// UnverifiedLegacyClaims returns the claims of a token that says to be kept in a Secret,
// which nothing vouches for yet; ok is false for other tokens. UnverifiedClaims gives
// no more than issuer and subject of such a token.
func (p *Parsed) UnverifiedLegacyClaims() (c LegacyClaims, ok bool) {
	if p.legacy == nil {
		return LegacyClaims{}, false
	}
	return *p.legacy, true
}

// readLegacy reads the claims that only tokens in Secrets have. An issuer that is
// configured to have their name can issue bound tokens; those are not such tokens.
func (p *Parsed) readLegacy(payload []byte) error {
	if p.claims.Issuer != LegacyIssuer || p.claims.Kubernetes != (Bound{}) {
		return nil
	}
	c := new(LegacyClaims)
	if err := josejson.Unmarshal(payload, c); err != nil {
		return malformed("its claims are not of the right types")
	}
	p.legacy = c
	return nil
}
