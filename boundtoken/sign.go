package boundtoken

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Signer signs tokens with one key. Implementations are safe for concurrent use.
type Signer interface {
	// Key returns the public side of the signing key.
	Key() Key
	// Sign returns payload as a signed token in compact form whose header
	// holds the key's algorithm and ID, and nothing else.
	Sign(ctx context.Context, payload []byte) (Token, error)
}

// Mint returns a token that says c, signed by s. It refuses claims that Verify
// would refuse at any time, and tokens longer than MaxSize (reason TooLarge).
func Mint(ctx context.Context, s Signer, c Claims) (Token, error) {
	if err := c.Check(); err != nil {
		return Token{}, err
	}
	if len(c.Audience) == 0 {
		return Token{}, refuse(BadClaims, "token has no audience")
	}
	payload, err := json.Marshal(&c)
	if err != nil {
		return Token{}, fmt.Errorf("encoding claims: %v", err)
	}
	if len(payload) > MaxSize { // before the costly part
		return Token{}, tooLarge(len(payload))
	}
	t, err := s.Sign(ctx, payload)
	if err != nil {
		return Token{}, fmt.Errorf("signing token: %w", err)
	}
	if n := len(t.Reveal()); n > MaxSize {
		return Token{}, tooLarge(n)
	}
	return t, nil
}

type keySigner struct {
	key  Key
	jose jose.Signer
}

// NewSigner returns a signer that holds its key in memory: an *rsa.PrivateKey
// (RS256) or an *ecdsa.PrivateKey (ES256, ES384 or ES512 by its curve).
func NewSigner(private crypto.Signer) (Signer, error) {
	switch private.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return nil, fmt.Errorf("signing key of type %T: want RSA or ECDSA", private)
	}
	key, err := NewKey(private.Public())
	if err != nil {
		return nil, err
	}
	s, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm),
		Key:       jose.JSONWebKey{Key: private, KeyID: key.ID},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("making signer: %v", err)
	}
	return &keySigner{key, s}, nil
}

func (s *keySigner) Key() Key { return s.key }

func (s *keySigner) Sign(_ context.Context, payload []byte) (Token, error) {
	signed, err := s.jose.Sign(payload)
	if err != nil {
		return Token{}, err
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return Token{}, err
	}
	return NewToken(text), nil
}
