package boundtoken

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Issuer is who issues tokens, the claim iss: text that is not empty and, where it has a
// colon, a URL (StringOrURI of RFC 7519). Issuers are made by ParseIssuer only. Two are the
// same when their texts are, byte by byte, and can be compared with ==. The zero value is
// no issuer.
type Issuer struct{ text string }

// ParseIssuer reads the name of an issuer, by the rules of the API server's flag
// --service-account-issuer. Bytes that are not UTF-8, which JSON cannot carry, and control
// characters are refused, too.
func ParseIssuer(text string) (Issuer, error) {
	switch {
	case text == "":
		return Issuer{}, errors.New("issuer is empty")
	case !utf8.ValidString(text), strings.ContainsFunc(text, isControl):
		return Issuer{}, fmt.Errorf("issuer %s has bytes that are not UTF-8, or control characters", quote(text))
	case !strings.Contains(text, ":"):
		return Issuer{text}, nil
	}
	if _, err := url.Parse(text); err != nil {
		return Issuer{}, fmt.Errorf("issuer %s contains a colon and is not a URL: %v", quote(text), err)
	}
	return Issuer{text}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// DiscoveryPath is where the discovery document is below an issuer.
const DiscoveryPath = "/.well-known/openid-configuration"

// Discoverable returns nil when relying parties can discover the issuer, else why not:
// it must be an https URL with a host and without query or fragment (OpenID Connect
// Discovery 1.0, section 3).
func (i Issuer) Discoverable() error {
	u, err := url.Parse(i.text)
	switch {
	case err != nil:
		return fmt.Errorf("issuer %q is not a URL", i.text)
	case u.Scheme != "https":
		return fmt.Errorf("issuer %q is not an https URL", i.text)
	case u.RawQuery != "" || u.ForceQuery:
		return fmt.Errorf("issuer %q has a query", i.text)
	case u.Fragment != "" || strings.HasSuffix(i.text, "#"):
		return fmt.Errorf("issuer %q has a fragment", i.text)
	case u.Host == "":
		return fmt.Errorf("issuer %q has no host", i.text)
	}
	return nil
}

// DiscoveryURL returns where the discovery document of an issuer is that is discoverable.
func (i Issuer) DiscoveryURL() string { return strings.TrimSuffix(i.text, "/") + DiscoveryPath }

// IsZero tells whether i is the zero value, which is no issuer.
func (i Issuer) IsZero() bool { return i == Issuer{} }

// String returns the claim iss, "" for the zero value.
func (i Issuer) String() string { return i.text }

// MarshalText implements encoding.TextMarshaler. The zero value has no text.
func (i Issuer) MarshalText() ([]byte, error) {
	if i.IsZero() {
		return nil, errors.New("encoding an issuer that is not set")
	}
	return []byte(i.text), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; it is ParseIssuer.
func (i *Issuer) UnmarshalText(text []byte) (err error) {
	*i, err = ParseIssuer(string(text))
	return err
}
