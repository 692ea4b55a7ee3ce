package webidentity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// maxKeys is how many keys of a type an issuer may have; with more, none of them counts.
const maxKeys = 100

// Sizes of RSA keys in bits.
const minBits, maxBits = 2048, 8192

// key is one of an issuer's.
type key struct {
	id     string
	public crypto.PublicKey
	// mayNot tells that the key says for what it may be used, which AWS takes for no.
	mayNot bool
}

// keySet are the keys of an issuer that count.
type keySet struct {
	rsa, ec []key
	// ids are the names of all keys that were published, for people.
	ids []string
}

// readKeys reads a key set by AWS's rules: keys without a name, for other uses than
// signatures or with a certificate of another key do not count, the last of several with a
// name does, and what a key says of its algorithm does not matter.
func readKeys(raw []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the key set is not JSON")
	}
	s := &keySet{}
	for _, member := range set.Keys {
		k, ok := readKey(member)
		if k.id != "" && len(s.ids) < 2*maxKeys {
			s.ids = append(s.ids, k.id)
		}
		if !ok {
			continue
		}
		if _, is := k.public.(*rsa.PublicKey); is {
			s.rsa = put(s.rsa, k)
		} else {
			s.ec = put(s.ec, k)
		}
	}
	return s, nil
}

// put adds a key in place of one with its name. More than one too many are not kept.
func put(keys []key, k key) []key {
	for i := range keys {
		if keys[i].id == k.id {
			keys[i] = k
			return keys
		}
	}
	if len(keys) > maxKeys {
		return keys
	}
	return append(keys, k)
}

// readKey reads a key, and tells whether it counts.
func readKey(raw json.RawMessage) (key, bool) {
	j, ok := object(raw) // names count as they are spelt
	if !ok {
		return key{}, false
	}
	text := func(name string) string { s, _ := textOf(j[name]); return s }
	k := key{id: text("kid"), mayNot: j["key_ops"] != nil}
	if use, restricted := j["use"]; k.id == "" || restricted && string(use) != `"sig"` {
		return k, false
	}
	var err error
	switch text("kty") {
	case "RSA":
		k.public, err = rsaKey(text("n"), text("e"))
	case "EC":
		k.public, err = ecKey(text("crv"), text("x"), text("y"))
	default:
		return k, false
	}
	if err != nil {
		return k, false
	}
	var chain []string
	if raw, has := j["x5c"]; has && (json.Unmarshal(raw, &chain) != nil || len(chain) > 0 && !holds(chain[0], k.public)) {
		return k, false
	}
	return k, true
}

// holds tells whether a certificate, as x5c holds it, is of a key.
func holds(certificate string, public crypto.PublicKey) bool {
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		return false
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	of, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && of.Equal(public)
}

func rsaKey(n, e string) (*rsa.PublicKey, error) {
	modulus, err := base64.RawURLEncoding.DecodeString(n)
	if err != nil {
		return nil, err
	}
	exponent, err := base64.RawURLEncoding.DecodeString(e)
	if err != nil {
		return nil, err
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus)}
	exp := new(big.Int).SetBytes(exponent)
	if bits := k.N.BitLen(); bits < minBits || bits > maxBits || exp.BitLen() > 31 || exp.Int64() < 3 || exp.Bit(0) == 0 {
		return nil, fmt.Errorf("RSA key of %d bits", bits)
	}
	k.E = int(exp.Int64())
	return k, nil
}

func ecKey(name, x, y string) (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch name {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("curve %q", name)
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // uncompressed
	for _, text := range []string{x, y} {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(raw) > size {
			return nil, errors.New("coordinate of a wrong length")
		}
		point = append(append(point, bytes.Repeat([]byte{0}, size-len(raw))...), raw...)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

// of returns the keys that can have signed a token: by its algorithm's type, then by its
// key's name; a token that names none needs an issuer with one key.
func (s *keySet) of(t *token) (key, bool) {
	var keys []key
	switch t.algorithm {
	case "RS256", "RS384", "RS512":
		keys = s.rsa
	case "ES256", "ES384", "ES512":
		keys = s.ec
	}
	if len(keys) > maxKeys {
		return key{}, false
	}
	if t.keyID == "" {
		if len(keys) != 1 {
			return key{}, false
		}
		return keys[0], true
	}
	for _, k := range keys {
		if k.id == t.keyID {
			return k, true
		}
	}
	return key{}, false
}
