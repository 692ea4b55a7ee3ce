package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lower makes letters small as Java does without a locale, which is how AWS ignores case:
// what is compared are small letters, not case foldings, so that ſ is not s and ı is not I.
// Characters beyond U+FFFF stay as they are.
func lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	runes := []rune(s)
	var b strings.Builder
	for i, r := range runes {
		switch {
		case r == 'İ':
			b.WriteString("i\u0307")
		case r == 'Σ' && finalSigma(runes, i):
			b.WriteRune('ς')
		case r > 0xffff || r == utf8.RuneError:
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// finalSigma tells whether the sigma at i ends a word: a letter with case stands before it
// and none after, apart from marks (Unicode, section 3.13, Final_Sigma).
func finalSigma(runes []rune, i int) bool {
	before := i - 1
	for before >= 0 && caseIgnorable(runes[before]) {
		before--
	}
	after := i + 1
	for after < len(runes) && caseIgnorable(runes[after]) {
		after++
	}
	return before >= 0 && cased(runes[before]) && !(after < len(runes) && cased(runes[after]))
}

func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:··՟״‘’․‧︓﹒﹕＇．：", r)
}
