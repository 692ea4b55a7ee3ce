package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/replace"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	// renewAuthorityBelow is the life below which the authority's certificate is made
	// anew from the same key, so that what it signed stays valid.
	renewAuthorityBelow = 2 * leafLife
	// backdate allows for clocks that run behind ours.
	backdate = time.Hour
)

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	dir   string
	clock clock.Wall
	cert  *x509.Certificate
	key   crypto.Signer
	pem   []byte
}

// OpenAuthority reads ca.crt and ca.key from dir, and makes dir (0700) and both
// files where they are missing. It fails when only one of them is there: a lost
// key cannot be replaced without every client noticing.
func OpenAuthority(dir string, now clock.Wall) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making certificate directory: %w", err)
	}
	a := &Authority{dir: dir, clock: now}
	key, keyErr := readKey(a.path("ca.key"))
	cert, certErr := readCertificate(a.path("ca.crt"))
	switch {
	case errors.Is(keyErr, os.ErrNotExist) && errors.Is(certErr, os.ErrNotExist):
		return a, a.create()
	case keyErr != nil:
		return nil, fmt.Errorf("reading key of the certificate authority: %w", keyErr)
	case certErr != nil:
		return nil, fmt.Errorf("reading certificate of the authority: %w", certErr)
	case !publicKeyOf(key).Equal(cert.PublicKey):
		return nil, fmt.Errorf("%s and %s do not belong together", a.path("ca.crt"), a.path("ca.key"))
	}
	a.key = key
	if cert.NotAfter.Sub(now.Now()) < renewAuthorityBelow {
		return a, a.sign()
	}
	a.setCertificate(cert)
	return a, nil
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return a.pem }

// Pool returns a pool that trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making key of the certificate authority: %w", err)
	}
	raw, err := encodeKey(key)
	if err != nil {
		return err
	}
	// Without this key every client's trust is lost, so it is on disk before it signs.
	if err := replace.File(a.path("ca.key"), raw, 0o600); err != nil {
		return err
	}
	a.key = key
	return a.sign()
}

// sign makes the authority's own certificate from its key.
func (a *Authority) sign() error {
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	now := a.clock.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "laterna-ca"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("signing certificate of the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading back certificate of the authority: %w", err)
	}
	if err := replace.File(a.path("ca.crt"), encodeCertificate(der), 0o600); err != nil {
		return err
	}
	a.setCertificate(cert)
	return nil
}

func (a *Authority) setCertificate(cert *x509.Certificate) {
	a.cert, a.pem = cert, encodeCertificate(cert.Raw)
}

// serialNumber returns 126 random bits (RFC 5280 4.1.2.2: positive, at most 20
// octets).
func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("making serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}
