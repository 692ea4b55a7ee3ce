package keys

import (
	"testing"
	"time"

	"laterna.dev/laterna/boundtoken"
)

// BenchmarkMint is the cost of a token, with what the ring adds to the signature.
func BenchmarkMint(b *testing.B) {
	for _, kind := range []Type{RSA2048, ECDSAP256} {
		r := newRing(b, kind.Algorithm())
		run(b, r, &memory{})
		b.Run(string(kind), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := boundtoken.NewClaims(boundtoken.Grant{Namespace: "default", ServiceAccount: boundtoken.Ref{Name: "a", UID: "u"}, Audience: []string{"x"}, Lifetime: time.Hour}, time.Now())
				c.Issuer = "https://issuer"
				signer, err := r.Signer(b.Context(), c.Expiry.Time())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := boundtoken.Mint(b.Context(), signer, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSigner is what the ring alone adds to a token.
func BenchmarkSigner(b *testing.B) {
	r := newRing(b, boundtoken.ES256)
	run(b, r, &memory{})
	end := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Signer(b.Context(), end); err != nil {
			b.Fatal(err)
		}
	}
}
