package webidentity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

// token is one whose form is a JWT's; nothing in it is verified.
type token struct {
	algorithm, keyID string
	claims           map[string]json.RawMessage
	// signed is what the signature is of.
	signed    string
	signature []byte

	issuer, subject string
	audiences       []string
	// party is the claim azp; nil where there is none.
	party                      *string
	issued, expires, notBefore int64
	hasNotBefore               bool
}

// object reads a JSON object; of members that repeat the last counts.
func object(raw []byte) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&members); err != nil || members == nil || d.More() {
		return nil, false
	}
	return members, true
}

// parse reads the form of a token.
func parse(text string) (*token, *query.Error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, notJWT()
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return nil, notJWT()
		}
	}
	header, ok := object(raw[0])
	if !ok {
		return nil, notJWT()
	}
	if _, critical := header["crit"]; critical {
		return nil, notJWT()
	}
	t := &token{signed: parts[0] + "." + parts[1], signature: raw[2]}
	if t.algorithm, ok = textOf(header["alg"]); !ok || t.algorithm == "" || t.algorithm == "none" {
		return nil, notJWT()
	}
	if kid, has := header["kid"]; has && !isNull(kid) {
		if t.keyID, ok = textOf(kid); !ok {
			return nil, notJWT()
		}
	}
	if t.claims, ok = object(raw[1]); !ok {
		return nil, notJWT()
	}
	return t, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// textOf reads a string.
func textOf(raw json.RawMessage) (string, bool) {
	var s *string
	if raw == nil || json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// has tells whether a claim is there and no null.
func (t *token) has(claim string) bool {
	raw, ok := t.claims[claim]
	return ok && !isNull(raw)
}

// told is what people may be told of the token.
func (t *token) told() *explain.Token {
	return &explain.Token{
		Issuer: t.issuer, Subject: t.subject, Audiences: t.audiences, AuthorizedParty: t.party,
		KeyID: t.keyID, Algorithm: t.algorithm, Claims: slices.Sorted(maps.Keys(t.claims)),
	}
}
