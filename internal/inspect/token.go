package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"laterna.dev/laterna/boundtoken"
)

// Token is a token as it was read. Nothing vouches for what it says. It prints as
// [redacted].
type Token struct {
	boundtoken.Token
	size int
	// Exactly one of the two is set.
	parsed  *boundtoken.Parsed
	refused error
	// The decoded parts, where they are JSON at all.
	header, payload []byte
}

// Read reads the text of a token, with white space around it; what cannot be read is a
// token, too, that fails its first check.
func Read(text string) Token {
	text = strings.TrimSpace(text)
	t := Token{Token: boundtoken.NewToken(text), size: len(text)}
	t.parsed, t.refused = boundtoken.Parse(text)
	if len(text) > boundtoken.MaxSize {
		return t
	}
	if parts := strings.Split(text, "."); len(parts) >= 2 {
		t.header, t.payload = decode(parts[0]), decode(parts[1])
	}
	return t
}

// decode returns a part of a token when it is JSON, else nil.
func decode(part string) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil || !json.Valid(raw) {
		return nil
	}
	return raw
}

// Signature returns the part that makes the token good: whoever has it can use the token.
func (t Token) Signature() string {
	text := t.Reveal()
	return text[strings.LastIndexByte(text, '.')+1:]
}

// Readable tells whether the token is one in form. If so, Header and Claims say what it
// says.
func (t Token) Readable() bool { return t.parsed != nil }

// Header returns the header of a readable token.
func (t Token) Header() boundtoken.Header { return t.parsed.Header() }

// Claims returns the claims of a readable token.
func (t Token) Claims() boundtoken.Claims { return t.parsed.UnverifiedClaims() }

// Legacy returns the claims of a token that says to be kept in a Secret.
func (t Token) Legacy() (c boundtoken.LegacyClaims, ok bool) {
	if t.parsed == nil {
		return c, false
	}
	return t.parsed.UnverifiedLegacyClaims()
}

// knownClaims are those that Claims and Legacy hold.
var knownClaims = []string{"aud", "exp", "iat", "iss", "jti", "kubernetes.io", "nbf", "sub"}

// OtherClaims returns the names of claims of a readable token that Kubernetes does not
// give, sorted.
func (t Token) OtherClaims() []string {
	var all map[string]json.RawMessage
	if json.Unmarshal(t.payload, &all) != nil {
		return nil
	}
	_, legacy := t.Legacy()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool {
		return slices.Contains(knownClaims, name) || legacy && strings.HasPrefix(name, "kubernetes.io/serviceaccount/")
	})
}

// Parts returns header and claims as they stand in a token that is not readable, in
// lines; nil where they are not JSON. Names may repeat.
func (t Token) Parts() (header, claims []byte) { return indent(t.header), indent(t.payload) }

func indent(raw []byte) []byte {
	var out bytes.Buffer
	if raw == nil || json.Indent(&out, raw, "", "  ") != nil {
		return nil
	}
	return ASCII(out.Bytes())
}
