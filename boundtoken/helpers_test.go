package boundtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
)

const issuer = "https://kubernetes.default.svc"

// at is when the tokens of these tests are issued.
var at = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// rsaKey is shared, since making one takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func ecKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signer(t testing.TB, k crypto.Signer) boundtoken.Signer {
	t.Helper()
	s, err := boundtoken.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parseIssuer(text string) boundtoken.Issuer {
	i, err := boundtoken.ParseIssuer(text)
	if err != nil {
		panic(err)
	}
	return i
}

// claims returns those of a pod's token for the audience "vault".
func claims() boundtoken.Claims {
	c := boundtoken.NewClaims(boundtoken.Grant{
		Namespace:      "default",
		ServiceAccount: boundtoken.Ref{Name: "build-robot", UID: "sa-uid"},
		Pod:            &boundtoken.Ref{Name: "nginx", UID: "pod-uid"},
		Node:           &boundtoken.Ref{Name: "node1", UID: "node-uid"},
		Audience:       []string{"vault"},
		Lifetime:       2 * time.Hour,
	}, at)
	c.Issuer = issuer
	return c
}

func mint(t testing.TB, s boundtoken.Signer, c boundtoken.Claims) string {
	t.Helper()
	token, err := boundtoken.Mint(context.Background(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// expected accepts the tokens that s mints from claims.
func expected(s ...boundtoken.Signer) boundtoken.Expected {
	var keys []boundtoken.Key
	for _, one := range s {
		keys = append(keys, one.Key())
	}
	return boundtoken.Expected{
		Issuers:   []boundtoken.Issuer{parseIssuer(issuer)},
		Audiences: []string{"vault"},
		Keys:      jwks.New(keys...),
		Time:      at,
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forge puts a token together from header and payload, which are text taken as
// it is or values to be encoded, and signs it with k: an *ecdsa.PrivateKey, an
// *rsa.PrivateKey, a []byte for HMAC, or nil for no signature.
func forge(t testing.TB, header, payload, k any) string {
	t.Helper()
	part := func(v any) string {
		if s, ok := v.(string); ok {
			return b64([]byte(s))
		}
		return b64(toJSON(t, v))
	}
	input := part(header) + "." + part(payload)
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch k := k.(type) {
	case nil:
	case []byte:
		m := hmac.New(sha256.New, k)
		m.Write([]byte(input))
		sig = m.Sum(nil)
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	default:
		t.Fatalf("cannot sign with a %T", k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}
