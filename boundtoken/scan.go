package boundtoken

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// maxDepth is how deep the JSON of a token may nest. Real ones need 3.
const maxDepth = 8

// scanObject walks data, which must be one JSON object, and returns the names in
// it. It refuses what decoders tolerate and read differently: repeated names at
// any level, deep nesting, broken UTF-8, text after the end.
func scanObject(data []byte, what string) ([]string, error) {
	if !utf8.Valid(data) {
		return nil, malformed("its %s is not UTF-8", what)
	}
	s := scanner{dec: json.NewDecoder(bytes.NewReader(data)), what: what}
	s.dec.UseNumber()
	t, err := s.dec.Token()
	if err != nil || t != json.Delim('{') {
		return nil, malformed("its %s is not a JSON object", what)
	}
	names, err := s.object(1)
	if err != nil {
		return nil, err
	}
	if _, err := s.dec.Token(); err != io.EOF {
		return nil, malformed("its %s goes on after its end", what)
	}
	return names, nil
}

type scanner struct {
	dec  *json.Decoder
	what string
}

// object walks the rest of an object whose brace has been read.
func (s *scanner) object(depth int) ([]string, error) {
	var names []string
	seen := map[string]bool{}
	for s.dec.More() {
		t, err := s.dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, malformed("its %s is not JSON", s.what)
		}
		if seen[name] {
			return nil, malformed("its %s repeats %s", s.what, quote(name))
		}
		seen[name] = true
		names = append(names, name)
		if err := s.value(depth); err != nil {
			return nil, err
		}
	}
	return names, s.end()
}

// value walks the next value, of which the enclosing one is at depth.
func (s *scanner) value(depth int) error {
	t, err := s.dec.Token()
	if err != nil {
		return malformed("its %s is not JSON", s.what)
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return malformed("its %s nests deeper than %d", s.what, maxDepth)
	}
	if d == '{' {
		_, err := s.object(depth + 1)
		return err
	}
	for s.dec.More() {
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	return s.end()
}

// end reads the closing brace or bracket.
func (s *scanner) end() error {
	if _, err := s.dec.Token(); err != nil {
		return malformed("its %s is not JSON", s.what)
	}
	return nil
}
