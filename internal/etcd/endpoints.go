package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"laterna.dev/laterna/internal/bounded"
)

// Endpoints says how to reach a store.
type Endpoints struct {
	// URLs are of the form https://host:2379, http://host:2379 or unix:///path.
	URLs []string
	// CAFile verifies the servers; CertFile and KeyFile identify the client. All
	// PEM, all optional.
	CAFile, CertFile, KeyFile string
}

// Hosts are the hosts with ports at which the store listens on a network.
func (e Endpoints) Hosts() (hosts []string) {
	for _, text := range e.URLs {
		if u, err := url.Parse(text); err == nil && u.Host != "" && u.Port() != "" {
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// Await returns e, for callers that otherwise wait for an embedded Server.
func (e Endpoints) Await(context.Context) (Endpoints, error) { return e, nil }

// NewClient returns a client of the store. It does not wait for the connection.
// The caller closes it.
func (e Endpoints) NewClient(log *slog.Logger) (*clientv3.Client, error) {
	tlsConfig, err := e.tls()
	if err != nil {
		return nil, err
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints:            e.URLs,
		TLS:                  tlsConfig,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		Logger:               newZap(log, nil),
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to store: %w", err)
	}
	return c, nil
}

func (e Endpoints) tls() (*tls.Config, error) {
	if e.CAFile == "" && e.CertFile == "" && e.KeyFile == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CAFile != "" {
		pem, err := bounded.Input(e.CAFile, bounded.Document)
		if err != nil {
			return nil, fmt.Errorf("reading store's CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("reading store's CA: no certificate in " + e.CAFile)
		}
	}
	if e.CertFile != "" || e.KeyFile != "" {
		pair, err := readPair(e.CertFile, e.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading client certificate for store: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := bounded.Input(certFile, bounded.Document)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := bounded.Input(keyFile, bounded.Document)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
