package webidentity

import (
	"context"
	"crypto/sha1" // names certificates, as thumbprints have it; trusts none
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/discovery"
	"laterna.dev/laterna/internal/clock"
)

// Timeout is how long an issuer may take to answer; AWS gives up after as long.
const Timeout = 5 * time.Second

// Network is how issuers are reached. Every field is required.
type Network struct {
	// Dial connects to an issuer's host and port, if its addresses may be: the host comes
	// from whoever registers a provider.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots returns the authorities that are believed about a host; nil are the machine's.
	Roots func(host string) *x509.CertPool
	// Wall is the time by which certificates are valid.
	Wall clock.Wall
}

// Why an issuer could not be asked, besides what its answers say.
var (
	errUntrusted   = errors.New("the certificate of the host is of no authority that is trusted, and has no thumbprint of the provider's")
	errUnreachable = errors.New("the host cannot be reached")
	errStale       = errors.New("the keys are out of date")
	errFault       = errors.New("a fault that was asked for: the issuer fails")
	errSlow        = errors.New("a fault that was asked for: the issuer takes longer than AWS waits")
)

// outcome notes what happened to the connections of one attempt.
type outcome struct{ untrusted, unreachable atomic.Bool }

// fetch asks an issuer for its documents. Connections are of this attempt alone: another
// provider may have other thumbprints.
func (n Network) fetch(ctx context.Context, issuer boundtoken.Issuer, thumbprints []string) (*discovery.Documents, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var o outcome
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return n.dialTLS(ctx, network, address, thumbprints, &o)
		},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("issuers are asked over TLS only")
		},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	documents, err := discovery.NewClient(discovery.ClientConfig{Transport: transport}).FetchRaw(ctx, issuer)
	switch {
	case err == nil:
		return documents, nil
	case o.untrusted.Load():
		return nil, errors.Join(errUntrusted, err)
	case o.unreachable.Load():
		return nil, errors.Join(errUnreachable, err)
	}
	return nil, err
}

func (n Network) dialTLS(ctx context.Context, network, address string, thumbprints []string, o *outcome) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := n.Dial(ctx, network, address)
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			o.unreachable.Store(true)
		}
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		Time:       n.Wall.Now,
		// VerifyConnection verifies, by thumbprints where no authority is known.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			err := n.verify(state.PeerCertificates, host, thumbprints)
			o.untrusted.Store(err != nil)
			return err
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// verify trusts a chain that leads to a trusted authority, else one whose last certificate
// has a thumbprint of the provider's and from which all others follow. Host name and dates
// count in both cases.
func (n Network) verify(chain []*x509.Certificate, host string, thumbprints []string) error {
	if len(chain) == 0 {
		return errors.New("the host shows no certificate")
	}
	options := x509.VerifyOptions{DNSName: host, CurrentTime: n.Wall.Now(), Roots: n.Roots(host), Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	if err == nil {
		return nil
	}
	last := chain[len(chain)-1]
	if slices.Contains(thumbprints, thumbprint(last)) {
		options.Roots = x509.NewCertPool()
		options.Roots.AddCert(last)
		if _, err := chain[0].Verify(options); err == nil {
			return nil
		}
	}
	return err
}

// thumbprint is the SHA-1 digest of a certificate.
func thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}
