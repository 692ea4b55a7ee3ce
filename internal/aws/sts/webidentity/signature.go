package webidentity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // the digests that algorithms name
	_ "crypto/sha512"
	"math/big"
)

// digests are those of the algorithms, and for ECDSA the size of the curve in bits.
var digests = map[string]struct {
	hash crypto.Hash
	bits int
}{
	"RS256": {crypto.SHA256, 0}, "RS384": {crypto.SHA384, 0}, "RS512": {crypto.SHA512, 0},
	"ES256": {crypto.SHA256, 256}, "ES384": {crypto.SHA384, 384}, "ES512": {crypto.SHA512, 521},
}

// signedBy tells whether a key signed the token.
func (t *token) signedBy(public crypto.PublicKey) bool {
	alg, ok := digests[t.algorithm]
	if !ok {
		return false
	}
	h := alg.hash.New()
	h.Write([]byte(t.signed))
	sum := h.Sum(nil)
	switch k := public.(type) {
	case *rsa.PublicKey:
		return alg.bits == 0 && rsa.VerifyPKCS1v15(k, alg.hash, sum, t.signature) == nil
	case *ecdsa.PublicKey:
		size := (alg.bits + 7) / 8
		if k.Curve.Params().BitSize != alg.bits || len(t.signature) != 2*size {
			return false
		}
		return ecdsa.Verify(k, sum, new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:]))
	}
	return false
}
