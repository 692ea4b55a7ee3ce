package policy

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// pattern is a text of a policy: literal, with wildcards, or with variables that each
// request fills in.
type pattern struct {
	literal  bool      // neither wildcards nor variables: only text counts
	text     string    // of literals
	units    []unit    // of patterns without variables
	segments []segment // of patterns with variables
	wild     bool      // whether * and ? are wildcards
}

// unit is a UTF-16 code unit or a wildcard: AWS counts as Java does, so that ? is half of a
// character beyond U+FFFF.
type unit int32

const (
	anyUnits unit = -1 // *
	anyUnit  unit = -2 // ?
)

// compile takes a text whose * and ? are wildcards.
func compile(text string, variables bool) pattern { return newPattern(text, true, variables) }

// compileAction takes an action, in which letter case does not count.
func compileAction(text string) pattern { return compile(strings.ToLower(text), false) }

// compileResource takes a resource. Parts of an ARN that are left out are wildcards.
func compileResource(text string, variables bool) pattern {
	if n := strings.Count(maskVariables(text), ":"); text != "*" && n < 5 {
		text += strings.Repeat(":*", 5-n)
	}
	return compile(text, variables)
}

func newPattern(text string, wild, variables bool) pattern {
	p := pattern{wild: wild}
	if variables && strings.Contains(text, "${") {
		if segments, ok := parseSegments(text); ok {
			p.segments = segments
			return p
		}
	}
	if !wild || !strings.ContainsAny(text, "*?") {
		p.literal, p.text = true, text
		return p
	}
	p.units = appendUnits(nil, text, true)
	return p
}

// appendUnits adds a text. Of stars that follow each other one is kept.
func appendUnits(units []unit, text string, wild bool) []unit {
	for _, r := range text {
		switch {
		case wild && r == '*':
			if len(units) == 0 || units[len(units)-1] != anyUnits {
				units = append(units, anyUnits)
			}
		case wild && r == '?':
			units = append(units, anyUnit)
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			units = append(units, unit(high), unit(low))
		default:
			units = append(units, unit(r))
		}
	}
	return units
}

// resolve fills in the variables. It fails where one has no value: then nothing matches.
func (p *pattern) resolve(c Context) (pattern, bool) {
	if p.segments == nil {
		return *p, true
	}
	out := pattern{literal: !p.wild}
	var text strings.Builder
	for i := range p.segments {
		s := &p.segments[i]
		filled, ok := s.fill(c)
		if !ok {
			return pattern{}, false
		}
		if p.wild {
			out.units = appendUnits(out.units, filled, s.text)
		} else {
			text.WriteString(filled)
		}
	}
	out.text = text.String()
	return out, true
}

// match tells whether the text matches a pattern that is resolved.
func (p *pattern) match(text string) bool {
	if p.literal {
		return p.text == text
	}
	return glob(p.units, text)
}

// glob matches in time proportional to the product of the lengths at worst: only the last
// star is gone back to, since what an earlier one could take the last one can, too.
func glob(p []unit, text string) bool {
	if len(p) == 1 && p[0] == anyUnits {
		return true
	}
	if ascii(text) {
		return globOf(p, len(text), func(i int) unit { return unit(text[i]) })
	}
	units := utf16.Encode([]rune(text))
	return globOf(p, len(units), func(i int) unit { return unit(units[i]) })
}

func globOf(p []unit, n int, at func(int) unit) bool {
	i, j, star, mark := 0, 0, -1, 0
	for i < n {
		switch {
		case j < len(p) && p[j] == anyUnits:
			star, mark = j, i
			j++
		case j < len(p) && (p[j] == anyUnit || p[j] == at(i)):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == anyUnits {
		j++
	}
	return j == len(p)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// arnParts is how many parts an ARN has; the last may hold colons.
const arnParts = 6

// usableARN tells whether a resolved pattern can be compared with ARNs.
func (p *pattern) usableARN() bool {
	if p.literal {
		return strings.HasPrefix(p.text, "arn:") && strings.Count(p.text, ":") >= arnParts-1
	}
	if len(p.units) == 1 && p.units[0] == anyUnits {
		return true
	}
	colons := 0
	for _, u := range p.units {
		if u == ':' {
			colons++
		}
	}
	return colons >= arnParts-1 && len(p.units) > 4 && p.units[0] == 'a' && p.units[1] == 'r' && p.units[2] == 'n' && p.units[3] == ':'
}

// matchARN compares part by part, so that a wildcard does not reach over a colon but in the
// last part. The pattern is usable and the text an ARN.
func (p *pattern) matchARN(text string) bool {
	if p.literal {
		return p.text == text
	}
	if len(p.units) == 1 {
		return true
	}
	rest := p.units
	for range arnParts - 1 {
		i := 0
		for rest[i] != ':' {
			i++
		}
		part, after, _ := strings.Cut(text, ":")
		if !glob(rest[:i], part) {
			return false
		}
		rest, text = rest[i+1:], after
	}
	return glob(rest, text)
}

// isARN tells whether a request's value can be compared with patterns of ARNs.
func isARN(text string) bool {
	return strings.HasPrefix(text, "arn:") && strings.Count(text, ":") >= arnParts-1
}

// Like tells whether a text matches a pattern as StringLike has it, without variables.
func Like(pattern, text string) bool {
	p := compile(pattern, false)
	return p.match(text)
}
