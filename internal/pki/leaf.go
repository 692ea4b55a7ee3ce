package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// leafLife is how long a certificate is valid; it is renewed when a third is left.
const leafLife = 365 * 24 * time.Hour

// Leaf describes a certificate. Its file names are Name.crt and Name.key.
type Leaf struct {
	Name string
	// CommonName and Organizations are user and groups of a client certificate.
	CommonName    string
	Organizations []string
	// Hosts and IPs are the names that a server certificate is good for.
	Hosts []string
	IPs   []net.IP
	// Server and Client say what the certificate is for.
	Server, Client bool
}

// Pair is a key and a certificate that is renewed in place. It is safe for
// concurrent use.
type Pair struct {
	authority *Authority
	leaf      Leaf

	mu      sync.Mutex // serialises issue
	current atomic.Pointer[tls.Certificate]
}

// Pair returns the certificate that leaf describes: the one on disk while it is
// valid, by this authority and for all that leaf asks for, else a new one.
func (a *Authority) Pair(leaf Leaf) (*Pair, error) {
	p := &Pair{authority: a, leaf: leaf}
	if cert, err := p.load(); err == nil && p.fits(cert.Leaf) {
		p.current.Store(cert)
		return p, nil
	}
	return p, p.issue()
}

// Certificate returns the current key pair.
func (p *Pair) Certificate() *tls.Certificate { return p.current.Load() }

// GetCertificate is for tls.Config.GetCertificate.
func (p *Pair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

// GetClientCertificate is for tls.Config.GetClientCertificate.
func (p *Pair) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

// PEM returns the current certificate and key.
func (p *Pair) PEM() (cert, key []byte, err error) {
	c := p.current.Load()
	key, err = encodeKey(c.PrivateKey)
	return encodeCertificate(c.Certificate[0]), key, err
}

// CertFile and KeyFile are the files that hold the pair, always the current one.
func (p *Pair) CertFile() string { return p.authority.path(p.leaf.Name + ".crt") }

// KeyFile is the file that holds the key.
func (p *Pair) KeyFile() string { return p.authority.path(p.leaf.Name + ".key") }

// Renew issues the pair anew when less than a third of its life is left, and tells
// whether it did.
func (p *Pair) Renew() (bool, error) {
	if p.fits(p.Certificate().Leaf) {
		return false, nil
	}
	return true, p.issue()
}

// fits tells whether cert still serves: signed by this authority, long enough
// valid, and for every name that is asked for.
func (p *Pair) fits(cert *x509.Certificate) bool {
	now := p.authority.clock.Now()
	if now.Before(cert.NotBefore) || cert.NotAfter.Sub(now) < leafLife/3 {
		return false
	}
	usages := x509.VerifyOptions{Roots: p.authority.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := cert.Verify(usages); err != nil {
		return false
	}
	if cert.Subject.CommonName != p.leaf.CommonName || !slices.Equal(cert.Subject.Organization, p.leaf.Organizations) {
		return false
	}
	for _, host := range p.leaf.Hosts {
		if !slices.Contains(cert.DNSNames, host) {
			return false
		}
	}
	for _, ip := range p.leaf.IPs {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func (p *Pair) load() (*tls.Certificate, error) {
	certPEM, err := bounded.File(p.CertFile(), bounded.Document)
	if err != nil {
		return nil, err
	}
	keyPEM, err := bounded.File(p.KeyFile(), bounded.Document)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// issue makes a new key and certificate and puts them on disk and in use.
func (p *Pair) issue() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making key of %s: %w", p.leaf.Name, err)
	}
	der, err := p.authority.issue(p.leaf, key, leafLife)
	if err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading back certificate of %s: %w", p.leaf.Name, err)
	}
	raw, err := encodeKey(key)
	if err != nil {
		return err
	}
	// A crash between the two leaves a pair that does not match, and a power cut may
	// leave less: load refuses it, and the next start makes another.
	if err := replace.Unsynced(p.KeyFile(), raw, 0o600); err != nil {
		return err
	}
	if err := replace.Unsynced(p.CertFile(), encodeCertificate(der), 0o600); err != nil {
		return err
	}
	p.current.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed})
	return nil
}

func (a *Authority) issue(leaf Leaf, key *ecdsa.PrivateKey, life time.Duration) ([]byte, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := a.clock.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
		DNSNames:     leaf.Hosts,
		IPAddresses:  leaf.IPs,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if leaf.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if leaf.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing certificate of %s: %w", leaf.Name, err)
	}
	return der, nil
}
