package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	testclock "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
)

// signed returns a certificate of the user, good until notAfter, and its issuer.
func signed(t *testing.T, user string, notAfter time.Time) (leaf, root *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	make := func(template, parent *x509.Certificate) *x509.Certificate {
		template.NotBefore = time.Now().Add(-time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	root = make(ca, ca)
	return make(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: notAfter,
		Subject:     pkix.Name{CommonName: user, Organization: []string{"group"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, root), root
}

func with(certs ...*x509.Certificate) *http.Request {
	return &http.Request{TLS: &tls.ConnectionState{PeerCertificates: certs}}
}

// counting counts the verifications of a certAuthenticator.
func counting(a *certAuthenticator) *int {
	n := 0
	inner := a.verify
	a.verify = authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
		n++
		return inner.AuthenticateRequest(r)
	})
	return &n
}

func TestCertificatesAreVerifiedOnceInAWhile(t *testing.T) {
	leaf, root := signed(t, "u", time.Now().Add(time.Hour))
	roots := x509.NewCertPool()
	roots.AddCert(root)
	clk := testclock.NewFakeClock(time.Now())
	a := newCertAuthenticator(roots, clock.WallOf(clk))
	n := counting(a)
	check := func(want int) {
		t.Helper()
		resp, ok, err := a.AuthenticateRequest(with(leaf))
		if err != nil || !ok || resp.User.GetName() != "u" {
			t.Fatalf("%v, %v, %v", resp, ok, err)
		}
		if g := resp.User.GetGroups(); len(g) != 2 || g[0] != "group" || g[1] != "system:authenticated" {
			t.Errorf("groups %v", g)
		}
		if *n != want {
			t.Errorf("verified %d times, want %d", *n, want)
		}
	}
	check(1)
	check(1)
	clk.SetTime(clk.Now().Add(certPause))
	check(2)
}

func TestExpiredCertificateIsNotRemembered(t *testing.T) {
	leaf, root := signed(t, "u", time.Now().Add(time.Second))
	roots := x509.NewCertPool()
	roots.AddCert(root)
	clk := testclock.NewFakeClock(time.Now())
	a := newCertAuthenticator(roots, clock.WallOf(clk))
	n := counting(a)
	if _, ok, err := a.AuthenticateRequest(with(leaf)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	clk.SetTime(leaf.NotAfter)
	a.AuthenticateRequest(with(leaf))
	if *n != 2 {
		t.Errorf("verified %d times after its end, want again", *n)
	}
}

func TestForeignCertificates(t *testing.T) {
	_, root := signed(t, "u", time.Now().Add(time.Hour))
	foreign, _ := signed(t, "u", time.Now().Add(time.Hour))
	roots := x509.NewCertPool()
	roots.AddCert(root)
	a := newCertAuthenticator(roots, clock.Real())
	for range 2 {
		if _, ok, err := a.AuthenticateRequest(with(foreign)); ok || err == nil {
			t.Errorf("foreign certificate: %v, %v", ok, err)
		}
	}
	for _, req := range []*http.Request{{}, with()} {
		if _, ok, err := a.AuthenticateRequest(req); ok || err != nil {
			t.Errorf("no certificate: %v, %v", ok, err)
		}
	}
}

func TestCertificateMemoryIsBounded(t *testing.T) {
	a := newCertAuthenticator(x509.NewCertPool(), clock.Real())
	a.verify = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{}, true, nil
	})
	for i := range 2 * certCount {
		c := &x509.Certificate{Raw: big.NewInt(int64(i)).Bytes(), NotAfter: time.Now().Add(time.Hour)}
		if _, ok, err := a.AuthenticateRequest(with(c)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if len(a.known) == 0 || len(a.known) > certCount {
		t.Errorf("%d certificates are remembered", len(a.known))
	}
}
