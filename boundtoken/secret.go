package boundtoken

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a token prints as.
const redacted = "[redacted]"

// Token is a signed token in compact form. It is a secret: printing, logging or
// encoding it gives "[redacted]", also as an unexported field of a struct; only
// Reveal gives the text. The zero value is an empty token.
type Token struct {
	// A pointer, because fmt calls no methods on unexported fields of other
	// types and would print a string.
	raw *string
}

// NewToken wraps a token's text.
func NewToken(text string) Token { return Token{&text} }

// Reveal returns the token's text, for the one place that hands it to its owner.
func (t Token) Reveal() string {
	if t.raw == nil {
		return ""
	}
	return *t.raw
}

// Equal compares two tokens in a time that depends only on their lengths.
func (t Token) Equal(o Token) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String returns "[redacted]".
func (t Token) String() string { return redacted }

// Format writes "[redacted]" for every verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "[redacted]", for encoders.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]", for log/slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }
