package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 256 << 10

// ways are the connections to one kind of backends.
type ways struct {
	plain http.RoundTripper
	net   func(ctx context.Context, network, address string) (net.Conn, error)
	tls   *tls.Config
}

// newWays returns connections made by dial. Each carries one request: pods come and go,
// and their addresses are given to others. Redirects are the client's to follow, and no
// proxy of the environment knows pods.
func newWays(dial func(context.Context, string, string) (net.Conn, error), c *tls.Config) *ways {
	c = c.Clone()
	c.NextProtos = []string{"http/1.1"} // which upgrades need
	return &ways{net: dial, tls: c, plain: &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        c,
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives:      true,
		DisableCompression:     true, // an answer is passed on as it comes
	}}
}

// dial opens a connection for an upgrade.
func (w *ways) dial(ctx context.Context, to *url.URL) (net.Conn, error) {
	port := to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[to.Scheme]
	}
	conn, err := w.net(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	if err != nil || to.Scheme != "https" {
		return conn, err
	}
	c := w.tls.Clone()
	if c.ServerName == "" {
		c.ServerName = to.Hostname()
	}
	secured := tls.Client(conn, c)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secured, nil
}
