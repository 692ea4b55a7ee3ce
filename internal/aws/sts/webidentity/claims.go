package webidentity

import (
	"encoding/json"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/aws/query"
)

// required are the claims that every token must have, in the order in which AWS misses them.
var required = [...]string{"iss", "sub", "aud", "iat", "exp"}

// readClaims reads the claims that every token has, and says what is wrong with them.
func (t *token) readClaims() *query.Error {
	for _, name := range required {
		raw, ok := t.claims[name]
		if !ok {
			return missing(name)
		}
		if isNull(raw) && name != "sub" && name != "iat" && name != "exp" {
			return missing(name)
		}
	}
	var ok bool
	if t.issuer, ok = textOf(t.claims["iss"]); !ok {
		return notJWT()
	}
	if err := t.readSubject(); err != nil {
		return err
	}
	if err := t.readAudience(); err != nil {
		return err
	}
	return t.readTimes()
}

// readSubject takes a number as its text, as AWS does.
func (t *token) readSubject() *query.Error {
	raw := t.claims["sub"]
	if isNull(raw) {
		return query.InternalFailure("Unknown error validating third-party token")
	}
	var number json.Number
	if s, ok := textOf(raw); ok {
		t.subject = s
		return nil
	}
	if json.Unmarshal(raw, &number) != nil {
		return notJWT()
	}
	t.subject = number.String()
	return nil
}

func (t *token) readAudience() *query.Error {
	raw := t.claims["aud"]
	if one, ok := textOf(raw); ok {
		t.audiences = []string{one}
	} else if json.Unmarshal(raw, &t.audiences) != nil {
		return notJWT()
	}
	if len(t.audiences) == 0 {
		return invalid("Claim is not allowed to be empty: aud")
	}
	if t.has("azp") {
		party, ok := textOf(t.claims["azp"])
		if !ok {
			return notJWT()
		}
		t.party = &party
	}
	if len(t.audiences) > 1 && t.party == nil {
		return invalid("Token audience contains more than one audience while authorized party is not present")
	}
	return nil
}

// Audience is what counts as the token's audience: azp where there is one.
func (t *token) audience() string {
	if t.party != nil {
		return *t.party
	}
	return t.audiences[0]
}

func (t *token) readTimes() *query.Error {
	for name, into := range map[string]*int64{"iat": &t.issued, "exp": &t.expires, "nbf": &t.notBefore} {
		raw, ok := t.claims[name]
		if !ok {
			continue
		}
		n, ok := timestamp(raw)
		if !ok {
			return invalid("Invalid timestamp in token claims.")
		}
		*into = n
	}
	_, t.hasNotBefore = t.claims["nbf"]
	return nil
}

// timestamp reads a whole number of seconds, or a text of one.
func timestamp(raw json.RawMessage) (int64, bool) {
	text := string(raw)
	if s, ok := textOf(raw); ok {
		text = s
	}
	if strings.HasPrefix(text, "+") {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
