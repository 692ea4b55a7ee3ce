package compat

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// verifyRS256 checks a token's signature with the key that its header names in a JSON
// Web Key Set. It knows nothing of the code that signs.
func verifyRS256(token string, keySet []byte) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%d parts", len(parts))
	}
	var header struct{ Alg, Kid string }
	var set struct {
		Keys []struct{ Kid, Kty, Alg, Use, N, E string }
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err == nil {
		err = json.Unmarshal(keySet, &set)
	}
	if err != nil || header.Alg != "RS256" || header.Kid == "" {
		return fmt.Errorf("header %+v: %w", header, err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	for _, key := range set.Keys {
		if key.Kid != header.Kid || key.Kty != "RSA" || key.Alg != "RS256" || key.Use != "sig" {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(key.N)
		if err != nil {
			return err
		}
		e, err := base64.RawURLEncoding.DecodeString(key.E)
		if err != nil {
			return err
		}
		public := rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		return rsa.VerifyPKCS1v15(&public, crypto.SHA256, sum[:], signature)
	}
	return fmt.Errorf("no key %s among %d", header.Kid, len(set.Keys))
}
