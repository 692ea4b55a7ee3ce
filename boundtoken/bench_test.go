package boundtoken_test

import (
	"crypto/elliptic"
	"testing"

	"laterna.dev/laterna/boundtoken"
)

func signers(b *testing.B) map[string]boundtoken.Signer {
	return map[string]boundtoken.Signer{"RS256": signer(b, rsaKey()), "ES256": signer(b, ecKey(b, elliptic.P256()))}
}

func BenchmarkMint(b *testing.B) {
	for name, s := range signers(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mint(b, s, claims())
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := mint(b, signer(b, ecKey(b, elliptic.P256())), claims())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := boundtoken.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for name, s := range signers(b) {
		b.Run(name, func(b *testing.B) {
			text, want := mint(b, s, claims()), expected(s)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := boundtoken.Verify(b.Context(), text, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
