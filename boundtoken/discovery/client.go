package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/httpget"
	"laterna.dev/laterna/internal/plain"
)

// Bounds on what a server may send, in bytes.
const (
	// MaxDocument is the greatest size of a discovery document.
	MaxDocument = 64 << 10
	// MaxKeySet is the greatest size of a key set.
	MaxKeySet = jwks.MaxSize
	// maxHeader is the greatest size of an answer's header.
	maxHeader = 64 << 10
)

// Timeout bounds the fetching of each of the two documents.
const Timeout = httpget.Timeout

// ClientConfig is what a client is made from. Every field is optional.
type ClientConfig struct {
	// Roots are the authorities to believe about the issuer's host; nil are the machine's.
	Roots *x509.CertPool
	// Transport carries the requests in place of one that is made from Roots and the
	// machine's proxies. It must verify the servers.
	Transport http.RoundTripper
}

// Client fetches what issuers publish. It is safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient returns a client that has asked nobody yet.
func NewClient(c ClientConfig) *Client {
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // documents are hours apart
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	return &Client{httpget.NewClient(c.Transport)}
}

// Documents are what an issuer publishes about itself.
type Documents struct {
	Issuer boundtoken.Issuer
	// URL is that of the discovery document, KeySetURI that of the keys.
	URL, KeySetURI string
	Keys           *jwks.Set
	// KeySet is the key set as it was sent, for those who choose keys by rules of their own.
	KeySet []byte

	life life
}

// Fresh is for how long after they were asked for the issuer allows the documents to count
// without asking again; it is bounded by MaxAge.
func (d *Documents) Fresh() time.Duration { return d.life.fresh }

// Fetch asks an issuer for its documents. It takes at most twice Timeout.
func (c *Client) Fetch(ctx context.Context, issuer boundtoken.Issuer) (*Documents, error) {
	d, err := c.FetchRaw(ctx, issuer)
	if err != nil {
		return nil, err
	}
	if d.Keys, err = jwks.Parse(d.KeySet); err != nil {
		return nil, at(d.KeySetURI, plain.Error(err))
	}
	return d, nil
}

// FetchRaw is Fetch without reading the key set, of at most MaxKeySet bytes: Keys is nil.
func (c *Client) FetchRaw(ctx context.Context, issuer boundtoken.Issuer) (*Documents, error) {
	if err := Check(issuer); err != nil {
		return nil, err
	}
	d := &Documents{Issuer: issuer, URL: issuer.DiscoveryURL()}
	raw, header, err := httpget.JSON(ctx, c.http, d.URL, MaxDocument)
	if err != nil {
		return nil, at(d.URL, err)
	}
	if d.KeySetURI, err = readDocument(raw, issuer); err != nil {
		return nil, at(d.URL, err)
	}
	d.life = lifeOf(header)
	if raw, header, err = httpget.JSON(ctx, c.http, d.KeySetURI, MaxKeySet); err != nil {
		return nil, at(d.KeySetURI, err)
	}
	d.KeySet = raw
	d.life = d.life.shorter(lifeOf(header))
	return d, nil
}

func at(address string, err error) error { return fmt.Errorf("%s: %w", plain.Text(address), err) }
