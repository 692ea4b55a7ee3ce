package inspect

import (
	"encoding/json"
	"time"
)

// Result is what came of a check.
type Result string

// The results of checks.
const (
	Passed  Result = "passed"
	Failed  Result = "failed"
	NotMade Result = "not made"
)

// Check is one question about a token with its answer. Reason is for people and free of
// what could drive a terminal.
type Check struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Reason string `json:"reason"`
}

// Report is what is known of a token, as the command prints it with -o json.
type Report struct {
	// Time is that of the checks.
	Time time.Time `json:"time"`
	// OK is true when no check failed; Complete when each was made.
	OK       bool    `json:"ok"`
	Complete bool    `json:"complete"`
	Checks   []Check `json:"checks"`
	Life     *Life   `json:"life,omitempty"`
	// Header and Claims are those of a readable token.
	Header json.RawMessage `json:"header,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	// HeaderText and ClaimsText are what an unreadable token says, where that is JSON
	// at all: programs do not agree on what it means.
	HeaderText string `json:"headerText,omitempty"`
	ClaimsText string `json:"claimsText,omitempty"`
	// Signature is empty unless it was asked for.
	Signature string `json:"signature,omitempty"`
}

// With returns the names of the checks with a result.
func (r *Report) With(result Result) (names []string) {
	for _, c := range r.Checks {
		if c.Result == result {
			names = append(names, c.Name)
		}
	}
	return names
}

// describe fills in what the token says.
func (r *Report) describe(t Token) {
	if !t.Readable() {
		header, claims := t.Parts()
		r.HeaderText, r.ClaimsText = string(header), string(claims)
		return
	}
	r.Header, r.Claims = t.header, t.payload
	claims := t.Claims()
	r.Life = LifeOf(&claims, r.Time)
}
