package boundtoken

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Algorithm is a signature algorithm, by its name in RFC 7518.
type Algorithm string

// The algorithms that tokens may be signed with.
const (
	RS256 Algorithm = "RS256"
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
)

// Sizes of RSA keys in bits. The upper bound keeps verification cheap.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var allowed = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512}

// Valid tells whether tokens may be signed with a.
func (a Algorithm) Valid() bool {
	for _, b := range allowed {
		if string(a) == string(b) {
			return true
		}
	}
	return false
}

// Key is a public key that verifies tokens.
type Key struct {
	// ID is the value of the header kid of tokens signed with the key.
	ID string
	// Algorithm is the only algorithm that the key verifies.
	Algorithm Algorithm
	// Public is an *rsa.PublicKey or *ecdsa.PublicKey.
	Public crypto.PublicKey
}

// NewKey returns the key of public, an *rsa.PublicKey of 2048 to 8192 bits or an
// *ecdsa.PublicKey on P-256, P-384 or P-521. The ID is KeyID's, the algorithm
// follows from the key's type and curve, as in Kubernetes.
func NewKey(public crypto.PublicKey) (Key, error) {
	alg, err := algorithmOf(public)
	if err != nil {
		return Key{}, err
	}
	id, err := KeyID(public)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: id, Algorithm: alg, Public: public}, nil
}

// KeyID returns the unpadded base64url form of the SHA-256 digest of public's
// PKIX DER form: the key ID that the API server gives its keys.
func KeyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encoding public key: %v", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func algorithmOf(public crypto.PublicKey) (Algorithm, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("RSA key of %d bits: want %d to %d", bits, minRSABits, maxRSABits)
		}
		return RS256, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ES256, nil
		case elliptic.P384():
			return ES384, nil
		case elliptic.P521():
			return ES512, nil
		}
		return "", fmt.Errorf("ECDSA key on %s: want P-256, P-384 or P-521", k.Curve.Params().Name)
	}
	return "", fmt.Errorf("key of type %T: want RSA or ECDSA", public)
}
