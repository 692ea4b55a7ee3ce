package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/plain"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// Limits on documents, in bytes.
const (
	maxDocument = 64 << 10
	maxKeySet   = jwks.MaxSize
)

// Getter fetches public documents.
type Getter interface {
	// Get returns the body of a successful answer, which is at most max bytes.
	Get(ctx context.Context, url string, max int) ([]byte, error)
}

// Documents are what an issuer publishes about itself.
type Documents struct {
	// URL is that of the discovery document, KeySetURI that of the keys.
	URL, KeySetURI string
	Keys           *jwks.Set
}

// Discover does what a relying party does: it fetches the discovery document of an
// issuer, sees whether it is that issuer's, and fetches the keys that it names. Errors
// are fit for terminals.
func Discover(ctx context.Context, from Getter, name string) (*Documents, error) {
	if err := discoverable(name); err != nil {
		return nil, err
	}
	d := &Documents{URL: issuer.DiscoveryURI(name)}
	raw, err := from.Get(ctx, d.URL, maxDocument)
	if err != nil {
		return nil, err
	}
	if d.KeySetURI, err = readDocument(raw, name); err != nil {
		return nil, fmt.Errorf("%s: %w", plain.Text(d.URL), err)
	}
	if raw, err = from.Get(ctx, d.KeySetURI, maxKeySet); err != nil {
		return nil, err
	}
	if d.Keys, err = jwks.Parse(raw); err != nil {
		return nil, fmt.Errorf("%s: %s", plain.Text(d.KeySetURI), plain.Text(err.Error()))
	}
	return d, nil
}

// discoverable tells why nobody can discover an issuer.
func discoverable(name string) error {
	if err := issuer.Undiscoverable(name); err != nil {
		return errors.New(plain.Text(err.Error()))
	}
	if !plain.Is(name) {
		return fmt.Errorf("issuer %s has characters that look like others or cannot be seen", plain.Text(name))
	}
	return nil
}

// readDocument returns the place of the keys from the discovery document of an issuer.
func readDocument(raw []byte, name string) (keySetURI string, err error) {
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return "", errors.New("is not a discovery document")
	}
	if doc.Issuer != name {
		return "", fmt.Errorf("is of issuer %s, not of %s", plain.Text(doc.Issuer), plain.Text(name))
	}
	u, err := url.Parse(doc.JWKSURI)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(doc.JWKSURI, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("names keys at %s, which is not an https URL", plain.Text(doc.JWKSURI))
	}
	return doc.JWKSURI, nil
}
