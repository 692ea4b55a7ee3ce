package policy

import "unicode/utf8"

// Size counts the characters of a document as IAM's quotas do: blanks outside strings do
// not count.
func Size(text string) int {
	n, inString := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			n++
			i++
			if i == len(text) {
				return n
			}
		case c == '"':
			inString = !inString
		case !inString && blank(c):
			continue
		}
		if utf8.RuneStart(text[i]) {
			n++
		}
	}
	return n
}
