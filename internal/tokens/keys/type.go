package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"laterna.dev/laterna/boundtoken"
)

// Type is a kind of signing key with its size. The algorithm of signatures follows
// from it, as in Kubernetes: RS256 for RSA, ES256, ES384 and ES512 by the curve.
type Type string

// The types of keys.
const (
	RSA2048   Type = "RSA2048"
	RSA3072   Type = "RSA3072"
	RSA4096   Type = "RSA4096"
	ECDSAP256 Type = "ECDSAP256"
	ECDSAP384 Type = "ECDSAP384"
	ECDSAP521 Type = "ECDSAP521"
)

// maker makes keys of one type.
type maker struct {
	algorithm boundtoken.Algorithm
	bits      int
	curve     elliptic.Curve
}

func makerOf(t Type) (maker, bool) {
	switch t {
	case RSA2048:
		return maker{boundtoken.RS256, 2048, nil}, true
	case RSA3072:
		return maker{boundtoken.RS256, 3072, nil}, true
	case RSA4096:
		return maker{boundtoken.RS256, 4096, nil}, true
	case ECDSAP256:
		return maker{boundtoken.ES256, 0, elliptic.P256()}, true
	case ECDSAP384:
		return maker{boundtoken.ES384, 0, elliptic.P384()}, true
	case ECDSAP521:
		return maker{boundtoken.ES512, 0, elliptic.P521()}, true
	}
	return maker{}, false
}

// Types returns all types.
func Types() []Type {
	return []Type{RSA2048, RSA3072, RSA4096, ECDSAP256, ECDSAP384, ECDSAP521}
}

// Algorithm returns the algorithm of signatures, "" for a type that is none.
func (t Type) Algorithm() boundtoken.Algorithm {
	m, _ := makerOf(t)
	return m.algorithm
}

// TypeFor returns the smallest type whose keys sign with the algorithm, or false.
func TypeFor(alg boundtoken.Algorithm) (Type, bool) {
	for _, t := range Types() {
		if t.Algorithm() == alg {
			return t, true
		}
	}
	return "", false
}

// typeOf returns the type of a public key.
func typeOf(public crypto.PublicKey) (Type, error) {
	for _, t := range Types() {
		m, _ := makerOf(t)
		switch k := public.(type) {
		case *rsa.PublicKey:
			if k.N.BitLen() == m.bits {
				return t, nil
			}
		case *ecdsa.PublicKey:
			if k.Curve == m.curve {
				return t, nil
			}
		}
	}
	return "", fmt.Errorf("a %T of another size or kind than %v", public, Types())
}

// generate makes a private key. It takes up to some seconds for large RSA keys.
func generate(t Type) (crypto.Signer, error) {
	m, ok := makerOf(t)
	switch {
	case !ok:
		return nil, fmt.Errorf("key type %q: want one of %v", t, Types())
	case m.curve != nil:
		return ecdsa.GenerateKey(m.curve, rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, m.bits)
}
