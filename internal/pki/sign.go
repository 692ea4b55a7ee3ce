package pki

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

const (
	// askedBackdate is how long before its making a certificate begins that somebody asked for.
	askedBackdate = 5 * time.Minute
	// short is the life below which a certificate ends as much later as it begins earlier.
	short = 8 * time.Hour
	// LongestAsked is how long a certificate may live that somebody asks for.
	LongestAsked = leafLife
)

// Uses are what a certificate is good for.
type Uses struct {
	Key      x509.KeyUsage
	Extended []x509.ExtKeyUsage
}

// Sign returns the certificate, in PEM, that a request of somebody else asks for: its subject
// and names, which the caller has judged, and its key, whose possession the caller has
// verified. Extensions of the request are left out; the certificate signs no others. It lives
// for life from now on, or as long as the authority's own.
func (a *Authority) Sign(asked *x509.CertificateRequest, uses Uses, life time.Duration) ([]byte, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := a.clock.Now()
	if !now.Before(a.cert.NotAfter) {
		return nil, errors.New("the authority's own certificate has ended: start the system again to have it renewed")
	}
	end := now.Add(life)
	if life >= short {
		end = end.Add(-askedBackdate)
	}
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: asked.Subject,
		DNSNames: asked.DNSNames, IPAddresses: asked.IPAddresses, EmailAddresses: asked.EmailAddresses, URIs: asked.URIs,
		NotBefore: now.Add(-askedBackdate), NotAfter: end,
		KeyUsage: uses.Key, ExtKeyUsage: uses.Extended, BasicConstraintsValid: true,
	}, a.cert, asked.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate that was asked for: %w", err)
	}
	return encodeCertificate(der), nil
}
