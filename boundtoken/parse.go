package boundtoken

import (
	"encoding/base64"
	"strings"

	josejson "github.com/go-jose/go-jose/v4/json" // matches names by case, unlike encoding/json
)

// MaxSize is the greatest length of a token in bytes.
const MaxSize = 64 << 10

// maxKeyID is the greatest length of a key ID in bytes (KEP-740).
const maxKeyID = 1024

// Header is what a token says about its signature.
type Header struct {
	Algorithm Algorithm `json:"alg"`
	// KeyID is "" when the token names no key.
	KeyID string `json:"kid"`
	Type  string `json:"typ"`
}

// headerNames are the only parameters a header may hold. Those that carry or
// point to keys (jwk, jku, x5c, x5u) are thereby refused, as are critical
// extensions.
var headerNames = map[string]bool{"alg": true, "kid": true, "typ": true}

// Parsed is a token that was read but not verified: anyone may have made it.
type Parsed struct {
	header Header
	claims Claims
	legacy *LegacyClaims // nil unless the token says to be kept in a Secret
	raw    string
}

// Header returns the token's unverified header.
func (p *Parsed) Header() Header { return p.header }

// UnverifiedClaims returns the claims, which nothing vouches for yet.
func (p *Parsed) UnverifiedClaims() Claims { return p.claims }

// LooksLike tells, cheaply, whether text has the form of a JWT in compact form:
// three parts of which none is empty. Bearer tokens of other kinds do not.
func LooksLike(text string) bool {
	a, rest, ok := strings.Cut(text, ".")
	b, c, ok2 := strings.Cut(rest, ".")
	return ok && ok2 && a != "" && b != "" && c != "" && !strings.Contains(c, ".")
}

// Parse reads a token without verifying it. Errors have the reasons TooLarge,
// Malformed, BadHeader and BadAlgorithm.
func Parse(text string) (*Parsed, error) {
	if len(text) > MaxSize {
		return nil, tooLarge(len(text))
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, malformed("it has %d parts instead of 3", len(parts))
	}
	p := &Parsed{raw: text}
	header, err := decodePart(parts[0], "header")
	if err != nil {
		return nil, err
	}
	if err := p.readHeader(header); err != nil {
		return nil, err
	}
	payload, err := decodePart(parts[1], "payload")
	if err != nil {
		return nil, err
	}
	if _, err := scanObject(payload, "payload"); err != nil {
		return nil, err
	}
	if err := josejson.Unmarshal(payload, &p.claims); err != nil {
		return nil, malformed("its claims are not of the right types")
	}
	if err := p.readLegacy(payload); err != nil {
		return nil, err
	}
	if _, err := decodePart(parts[2], "signature"); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Parsed) readHeader(data []byte) error {
	names, err := scanObject(data, "header")
	if err != nil {
		return err
	}
	for _, n := range names {
		if !headerNames[n] {
			return refuse(BadHeader, "token header parameter %s is not allowed", quote(n))
		}
	}
	if err := josejson.Unmarshal(data, &p.header); err != nil {
		return malformed("its header is not of the right types")
	}
	switch h := p.header; {
	case !h.Algorithm.Valid():
		return refuse(BadAlgorithm, "token algorithm %s is not allowed", quote(string(h.Algorithm)))
	case len(h.KeyID) > maxKeyID:
		return refuse(BadHeader, "token key ID is longer than %d bytes", maxKeyID)
	case h.Type != "" && !strings.EqualFold(h.Type, "JWT"):
		return refuse(BadHeader, "token type %s is not JWT", quote(h.Type))
	}
	return nil
}

// decodePart decodes one part. Characters outside the alphabet (the decoder would
// skip line breaks), padding and loose bits at the end are refused, so that a
// token has one spelling.
func decodePart(part, name string) ([]byte, error) {
	if part == "" {
		return nil, malformed("its %s is empty", name)
	}
	if strings.ContainsAny(part, "\r\n") {
		return nil, malformed("its %s is not base64url", name)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, malformed("its %s is not base64url", name)
	}
	return b, nil
}

func malformed(format string, args ...any) error {
	return refuse(Malformed, "malformed token: "+format, args...)
}

func tooLarge(n int) error {
	return refuse(TooLarge, "token of %d bytes is longer than %d", n, MaxSize)
}
