package discovery

import (
	"errors"
	"fmt"
	"net/url"

	josejson "github.com/go-jose/go-jose/v4/json" // refuses repeated names, matches names by case

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/plain"
)

// Check returns nil when an issuer can be discovered, else why not. Besides what
// [boundtoken.Issuer.Discoverable] asks, the issuer may hold no characters that people
// take for others, and no credentials: its name comes out of tokens that nobody has
// verified yet.
func Check(issuer boundtoken.Issuer) error {
	if err := issuer.Discoverable(); err != nil {
		return plain.Error(err)
	}
	if !plain.Is(issuer.String()) {
		return fmt.Errorf("issuer %s has characters that look like others or cannot be seen", plain.Text(issuer.String()))
	}
	if u, err := url.Parse(issuer.String()); err != nil || u.User != nil {
		return fmt.Errorf("issuer %s holds credentials", plain.Text(u.Redacted()))
	}
	return nil
}

// readDocument returns the place of the keys from the discovery document of an issuer.
func readDocument(raw []byte, issuer boundtoken.Issuer) (keySetURI string, err error) {
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if josejson.Unmarshal(raw, &doc) != nil {
		return "", errors.New("is not a discovery document")
	}
	if doc.Issuer != issuer.String() {
		return "", fmt.Errorf("is of issuer %s, not of %s", plain.Text(doc.Issuer), plain.Text(issuer.String()))
	}
	u, err := url.Parse(doc.JWKSURI)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !plain.Is(doc.JWKSURI) {
		return "", fmt.Errorf("names keys at %s, which is not an https URL", plain.Text(doc.JWKSURI))
	}
	return doc.JWKSURI, nil
}
