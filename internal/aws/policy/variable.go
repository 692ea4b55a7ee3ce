package policy

import "strings"

// segment is a part of a pattern: text, or what a request has for a key.
type segment struct {
	text     bool   // it is text of the policy, in which wildcards count
	value    string // the text, or the default
	key      string // small letters; empty for text and for escapes
	fallback bool   // whether there is a default
}

// fill returns what stands in the segment's place. A key of several values has none that
// could, even where there is a default.
func (s *segment) fill(c Context) (string, bool) {
	if s.key == "" {
		return s.value, true
	}
	v, ok := c.keys[s.key]
	switch {
	case !ok:
		return s.value, s.fallback
	case v.Multivalued || len(v.Values) != 1:
		return "", false
	}
	return v.Values[0], true
}

// parseSegments parts a text with variables: ${key}, ${key, 'default'} and the escapes
// ${*}, ${?} and ${$}, whose characters stand for themselves.
func parseSegments(text string) ([]segment, bool) {
	var out []segment
	for {
		before, rest, ok := strings.Cut(text, "${")
		if before != "" {
			out = append(out, segment{text: true, value: before})
		}
		if !ok {
			return out, true
		}
		s, after, ok := parseVariable(rest)
		if !ok {
			return nil, false
		}
		out = append(out, s)
		text = after
	}
}

// parseVariable reads what follows ${ and returns what follows the closing brace.
func parseVariable(s string) (segment, string, bool) {
	i := strings.IndexAny(s, ",}")
	if i <= 0 {
		return segment{}, "", false
	}
	key := strings.TrimSpace(s[:i])
	if s[i] == '}' {
		if key == "*" || key == "?" || key == "$" {
			return segment{value: key}, s[i+1:], true
		}
		return segment{key: strings.ToLower(key)}, s[i+1:], key != ""
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(s[i+1:], " "), "'")
	if !ok || key == "" {
		return segment{}, "", false
	}
	fallback, rest, ok := strings.Cut(rest, "'")
	rest, closed := strings.CutPrefix(strings.TrimLeft(rest, " "), "}")
	return segment{key: strings.ToLower(key), value: fallback, fallback: true}, rest, ok && closed
}

// badVariables tells whether a text has a variable that is not well formed.
func badVariables(text string) bool {
	_, ok := parseSegments(text)
	return !ok
}
