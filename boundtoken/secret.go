package boundtoken

import (
	"fmt"
	"log/slog"

	"laterna.dev/laterna/internal/redacted"
)

// Token is a signed token in compact form. It is a secret: printing, logging or
// encoding it gives "[redacted]", also as an unexported field of a struct; only
// Reveal gives the text. The zero value is an empty token.
type Token struct{ text redacted.Text }

// NewToken wraps a token's text.
func NewToken(text string) Token { return Token{redacted.New(text)} }

// Reveal returns the token's text, for the one place that hands it to its owner.
func (t Token) Reveal() string { return t.text.Reveal() }

// Equal compares two tokens in a time that depends only on their lengths.
func (t Token) Equal(o Token) bool { return t.text.Same(o.text) }

// String returns "[redacted]".
func (t Token) String() string { return t.text.String() }

// Format writes "[redacted]" for every verb.
func (t Token) Format(f fmt.State, verb rune) { t.text.Format(f, verb) }

// MarshalText returns "[redacted]", for encoders.
func (t Token) MarshalText() ([]byte, error) { return t.text.MarshalText() }

// LogValue returns "[redacted]", for log/slog.
func (t Token) LogValue() slog.Value { return t.text.LogValue() }
