package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
)

// Hosts issues serving certificates for names that become known while the program
// runs. They are kept in memory alone. It is safe for concurrent use.
type Hosts struct {
	authority *Authority

	mu    sync.Mutex
	known map[string]*tls.Certificate
}

// Hosts returns an issuer of certificates that has issued none yet. Who asks it bounds
// the names: one certificate is kept for each.
func (a *Authority) Hosts() *Hosts {
	return &Hosts{authority: a, known: map[string]*tls.Certificate{}}
}

// Certificate returns a certificate that is good for host (a DNS name or an IP
// address) and for long enough.
func (h *Hosts) Certificate(host string) (*tls.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.known[host]; c != nil && c.Leaf.NotAfter.Sub(h.authority.clock.Now()) > leafLife/3 {
		return c, nil
	}
	leaf := Leaf{Name: host, CommonName: host, Server: true}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPs = []net.IP{ip}
	} else {
		leaf.Hosts = []string{host}
	}
	if len(host) > maxCommonName {
		leaf.CommonName = ""
	}
	c, err := h.issue(leaf)
	if err != nil {
		return nil, err
	}
	h.known[host] = c
	return c, nil
}

// maxCommonName is the upper bound of a common name (RFC 5280, appendix A.1).
const maxCommonName = 64

func (h *Hosts) issue(leaf Leaf) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key for %s: %w", leaf.Name, err)
	}
	der, err := h.authority.issue(leaf, key, leafLife)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading back certificate for %s: %w", leaf.Name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, nil
}
