package boundtoken

import (
	"context"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys finds keys for verification. *jwks.Set is one, in memory; *discovery.Source asks
// the issuer. Implementations are safe for concurrent use.
type Keys interface {
	// Lookup returns the keys with that ID, or all keys when id is "". That there is none
	// is no error: an error says that it could not be found out. The result must not be
	// changed.
	Lookup(ctx context.Context, id string) ([]Key, error)
}

// Expected is what a recipient asks of a token.
type Expected struct {
	// Issuers are those accepted. Each of Keys may sign for each of them: issuers that
	// do not trust each other are checked with a Verify each, chosen by the unverified
	// claim iss.
	Issuers []Issuer
	// Audiences are the recipient's names; a token must be for one of them.
	Audiences []string
	// Keys are the issuers' keys.
	Keys Keys
	// Time is the time of the check.
	Time time.Time
}

// Verified is a token that passed.
type Verified struct {
	Claims Claims
	// Issuer and Subject are the claims iss and sub.
	Issuer  Issuer
	Subject Subject
	// Audiences are those expected that the token is for, in their order.
	Audiences []string
	// Key is the key that signed it.
	Key Key
}

// Verify checks a token against want: form, issuer, signature, audience and
// time, in this order. A refusal is an *Error; any other error is of want.Keys and says
// nothing about the token. Bound objects are not looked up.
func Verify(ctx context.Context, text string, want Expected) (*Verified, error) {
	p, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if err := p.claims.CheckIssuer(want.Issuers); err != nil {
		return nil, err
	}
	key, err := p.VerifySignature(ctx, want.Keys)
	if err != nil {
		return nil, err
	}
	v := &Verified{Claims: p.claims, Issuer: Issuer{p.claims.Issuer}, Key: key}
	if err := v.Claims.Check(); err != nil {
		return nil, err
	}
	v.Subject = Subject{v.Claims.Kubernetes.Namespace, v.Claims.Kubernetes.ServiceAccount.Name}
	if v.Audiences, err = v.Claims.CheckAudience(want.Audiences); err != nil {
		return nil, err
	}
	if err := v.Claims.CheckTime(want.Time); err != nil {
		return nil, err
	}
	return v, nil
}

// VerifySignature returns the key of keys that signed the token: the one that
// the header names or, when it names none, any. Reasons of errors are
// UnknownKey, BadAlgorithm and BadSignature; an error without a reason is of keys.
func (p *Parsed) VerifySignature(ctx context.Context, keys Keys) (Key, error) {
	found, err := keys.Lookup(ctx, p.header.KeyID)
	if err != nil {
		return Key{}, fmt.Errorf("finding the keys of a token: %w", err)
	}
	if len(found) == 0 {
		return Key{}, refuse(UnknownKey, "invalid signature, no keys found")
	}
	fitting := false
	for _, k := range found {
		if k.Algorithm != p.header.Algorithm {
			continue
		}
		fitting = true
		if p.signedBy(k) {
			return k, nil
		}
	}
	if !fitting {
		return Key{}, refuse(BadAlgorithm, "invalid signature, token algorithm %s is not that of the key", quote(string(p.header.Algorithm)))
	}
	return Key{}, refuse(BadSignature, "invalid signature, the token was changed or signed with another key")
}

func (p *Parsed) signedBy(k Key) bool {
	jws, err := jose.ParseSignedCompact(p.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Algorithm)})
	if err != nil {
		return false
	}
	_, err = jws.Verify(k.Public)
	return err == nil
}
