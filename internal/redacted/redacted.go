// Package redacted is the type of texts that must not be read where they happen to be
// printed.
//
// It owns redaction alone: what is secret, and the one place that reveals it, is its
// owner's to know. boundtoken.Token, the type of tokens, is made of it.
package redacted

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Shown is what a secret prints as.
const Shown = "[redacted]"

// Text is a secret. Printing, logging or encoding it gives Shown, also as a field of a
// struct, exported or not; only Reveal gives the text. A struct that embeds it prints as
// Shown altogether. The zero value is the empty text.
type Text struct {
	// A pointer, because fmt calls no methods on unexported fields of other types and
	// would print a string.
	raw *string
}

// New wraps a text.
func New(text string) Text { return Text{&text} }

// Reveal returns the text, for the one place that hands it on.
func (t Text) Reveal() string {
	if t.raw == nil {
		return ""
	}
	return *t.raw
}

// Same compares two secrets in a time that depends only on their lengths.
func (t Text) Same(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String implements fmt.Stringer.
func (Text) String() string { return Shown }

// Format implements fmt.Formatter, for every verb.
func (Text) Format(f fmt.State, _ rune) { io.WriteString(f, Shown) }

// MarshalText implements encoding.TextMarshaler.
func (Text) MarshalText() ([]byte, error) { return []byte(Shown), nil }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(Shown) }
