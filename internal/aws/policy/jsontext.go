package policy

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads a string, of which the opening quote is next.
func (r *reader) string() (string, error) {
	r.at++
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[start : r.at-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", errJSON
		}
		r.at++
	}
	return "", errJSON
}

// escaped reads on from the first escape of a string that began at start.
func (r *reader) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(r.text[start:r.at])
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return b.String(), nil
		case c == '\\':
			u, err := r.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(u)
			continue
		case c < ' ':
			return "", errJSON
		default:
			b.WriteByte(c)
		}
		r.at++
	}
	return "", errJSON
}

func (r *reader) escape() (rune, error) {
	if r.at+1 >= len(r.text) {
		return 0, errJSON
	}
	c := r.text[r.at+1]
	r.at += 2
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return 0, errJSON
	}
	u, err := r.hex()
	if err != nil || !utf16.IsSurrogate(u) {
		return u, err
	}
	if !strings.HasPrefix(r.text[r.at:], `\u`) {
		return 0, errJSON
	}
	r.at += 2
	low, err := r.hex()
	if err != nil {
		return 0, err
	}
	if u = utf16.DecodeRune(u, low); u == utf8.RuneError {
		return 0, errJSON
	}
	return u, nil
}

// hex reads four hexadecimal digits.
func (r *reader) hex() (rune, error) {
	if r.at+4 > len(r.text) {
		return 0, errJSON
	}
	var u rune
	for _, c := range []byte(r.text[r.at : r.at+4]) {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, errJSON
		}
	}
	r.at += 4
	return u, nil
}

// number reads -? int frac? exp? and keeps its text.
func (r *reader) number() (value, error) {
	start := r.at
	if r.text[r.at] == '-' {
		r.at++
	}
	if zero := r.at; r.digits() == 0 || r.text[zero] == '0' && r.at > zero+1 {
		return value{}, errJSON
	}
	if r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		if r.digits() == 0 {
			return value{}, errJSON
		}
	}
	if r.at < len(r.text) && (r.text[r.at] == 'e' || r.text[r.at] == 'E') {
		r.at++
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		if r.digits() == 0 {
			return value{}, errJSON
		}
	}
	return value{kind: isNumber, text: r.text[start:r.at]}, nil
}

// digits takes decimal digits and says how many there were.
func (r *reader) digits() int {
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}
