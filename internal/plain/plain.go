// Package plain shows text from elsewhere (tokens, servers, archives) to people, so that
// it can neither drive a terminal nor look like another text.
//
// It owns that escaping, the quoting of words that people paste into a shell, and sizes in
// units; what is
// said to whom lives with those who say it.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mostText is how many bytes of one text are shown.
const mostText = 512

// Text returns text as a terminal may show it: as it is where it consists of printable
// ASCII characters and has no space at its ends, otherwise quoted with everything else
// escaped.
func Text(text string) string {
	rest := ""
	if len(text) > mostText {
		rest = fmt.Sprintf("… (%d bytes in all)", len(text))
		text = text[:mostText]
		for len(text) > 0 && !utf8.ValidString(text[len(text)-1:]) { // no half characters
			text = text[:len(text)-1]
		}
	}
	if Is(text) {
		return text + rest
	}
	return strconv.QuoteToASCII(text) + rest
}

// Is tells whether Text shows text as it is.
func Is(text string) bool {
	if text == "" || strings.TrimSpace(text) != text {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// List joins texts as Text shows them, at most a few of them.
func List(texts []string) string {
	const most = 10
	var parts []string
	for i, t := range texts {
		if i == most {
			parts = append(parts, fmt.Sprintf("… (%d in all)", len(texts)))
			break
		}
		parts = append(parts, Text(t))
	}
	return strings.Join(parts, ", ")
}

// Error returns err with its text as Text shows it; errors.Is and errors.As see err.
func Error(err error) error { return shown{err} }

type shown struct{ error }

// Error implements error.
func (s shown) Error() string { return Text(s.error.Error()) }

// Unwrap returns the error, to tell a server that is down from others.
func (s shown) Unwrap() error { return s.error }
