package pki_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/pki"
)

func asked(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"a"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestRequestsAreRead(t *testing.T) {
	good := asked(t)
	r, err := pki.ParseRequest(append([]byte("text before\n"), good...))
	if err != nil || r.DNSNames[0] != "a" || pki.VerifyRequest(r) != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	r.RawTBSCertificateRequest[9] ^= 1
	if pki.VerifyRequest(r) == nil {
		t.Error("a changed request is verified")
	}
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		"no PEM":    {nil, "PEM block type must be CERTIFICATE REQUEST"},
		"other PEM": {bytes.ReplaceAll(good, []byte("CERTIFICATE REQUEST"), []byte("CERTIFICATE")), "PEM block type must be CERTIFICATE REQUEST"},
		"long":      {append(good, make([]byte, pki.LongestRequest)...), "longer than 65536 bytes"},
		"no DER":    {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte{1}}), "asn1"},
	} {
		if _, err := pki.ParseRequest(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

// TestGreatKeysAreNotVerified tries a key whose signature would take long to verify.
func TestGreatKeysAreNotVerified(t *testing.T) {
	r := &x509.CertificateRequest{PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8192), E: 65537}, SignatureAlgorithm: x509.SHA256WithRSA}
	if err := pki.VerifyRequest(r); err == nil || !strings.Contains(err.Error(), "RSA keys must not have more than 8192 bits") {
		t.Errorf("got %v", err)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(asked(f))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := pki.ParseRequest(text); err == nil && r == nil {
			t.Error("neither a request nor an error")
		} else if err == nil {
			_ = pki.VerifyRequest(r)
		}
	})
}
