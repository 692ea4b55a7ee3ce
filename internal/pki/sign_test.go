package pki_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

// request asks for a certificate of another authority.
func request(t *testing.T) *x509.CertificateRequest {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := asn1.Marshal(struct{ IsCA bool }{true})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "ann", Organization: []string{"dev", "ops"}}, DNSNames: []string{"a.example"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: authority}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCertificatesThatOthersAskFor(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now().Truncate(time.Second))
	a, err := pki.OpenAuthority(t.TempDir(), clock.WallOf(fake))
	if err != nil {
		t.Fatal(err)
	}
	asked, uses := request(t), pki.Uses{Key: x509.KeyUsageDigitalSignature, Extended: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	sign := func(life time.Duration) *x509.Certificate {
		t.Helper()
		text, err := a.Sign(asked, uses, life)
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%v, and %q behind it", err, rest)
		}
		return c
	}
	begin := fake.Now()
	for life, want := range map[time.Duration]time.Duration{
		10 * time.Minute: 10 * time.Minute, 7 * time.Hour: 7 * time.Hour, 8 * time.Hour: 8*time.Hour - 5*time.Minute, pki.LongestAsked: pki.LongestAsked - 5*time.Minute,
	} {
		c := sign(life)
		if !c.NotBefore.Equal(begin.Add(-5*time.Minute)) || !c.NotAfter.Equal(begin.Add(want)) {
			t.Errorf("a life of %s: from %s to %s", life, c.NotBefore, c.NotAfter)
		}
		if c.IsCA || !c.BasicConstraintsValid || c.Subject.CommonName != "ann" || len(c.Subject.Organization) != 2 || c.DNSNames[0] != "a.example" {
			t.Errorf("certificate %+v", c)
		}
		options := x509.VerifyOptions{Roots: a.Pool(), CurrentTime: begin, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if _, err := c.Verify(options); err != nil {
			t.Error(err)
		}
		options.KeyUsages[0] = x509.ExtKeyUsageServerAuth
		if _, err := c.Verify(options); err == nil {
			t.Error("a client's certificate is good for a server")
		}
	}
	fake.SetTime(begin.Add(10*365*24*time.Hour - time.Hour))
	if c := sign(2 * time.Hour); c.NotAfter.After(fake.Now().Add(time.Hour)) {
		t.Errorf("it outlives the authority: %s", c.NotAfter)
	}
	fake.SetTime(begin.Add(10 * 365 * 24 * time.Hour))
	if _, err := a.Sign(asked, uses, time.Hour); err == nil {
		t.Error("an authority signs that has ended")
	}
}
