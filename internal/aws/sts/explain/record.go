package explain

import (
	"encoding/json"
	"time"
)

// Verdict is what a check says.
type Verdict string

// Verdicts of checks.
const (
	Yes Verdict = "yes"
	No  Verdict = "no"
	// Skipped is what was not looked at, since an answer was certain already.
	Skipped Verdict = "skipped"
)

// Check is one thing that was looked at to answer a call.
type Check struct {
	// Name says what, as a noun: "audience", "signature".
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Got is what the call or its token brought, Want what would do.
	Got  string `json:"got,omitempty"`
	Want string `json:"want,omitempty"`
	// Why is the reason, for people.
	Why string `json:"why,omitempty"`
	// Hints are what could be changed.
	Hints []string `json:"hints,omitempty"`
}

// Token is what is told of a token: nothing with which another could be made.
type Token struct {
	Issuer    string   `json:"issuer,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
	// AuthorizedParty is the claim azp; nil where there is none.
	AuthorizedParty *string `json:"authorizedParty,omitempty"`
	KeyID           string  `json:"keyID,omitempty"`
	Algorithm       string  `json:"algorithm,omitempty"`
	// Claims are the names of all.
	Claims []string `json:"claims,omitempty"`
	// Verified says that the issuer's signature was looked at, and is good: without it, all
	// above is what somebody says.
	Verified bool `json:"verified,omitempty"`
}

// Record is what is known of one call.
type Record struct {
	RequestID string    `json:"requestID"`
	Service   string    `json:"service"`
	Action    string    `json:"action"`
	Time      time.Time `json:"time"`
	// Host, Path, Region, Agent and Source are of the request: where it went, what it was
	// signed for, which client it was, and from where.
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`
	Region string `json:"region,omitempty"`
	Agent  string `json:"userAgent,omitempty"`
	Source string `json:"sourceIP,omitempty"`
	// Caller is the ARN of who signed.
	Caller string `json:"caller,omitempty"`
	// principal is who signed, without the name of a session, which he chooses.
	principal string

	Role    string `json:"role,omitempty"`
	Session string `json:"session,omitempty"`
	Token   *Token `json:"token,omitempty"`

	// Checks are in the order in which they were made.
	Checks []Check `json:"checks"`
	// Decision is the trace of the policies' evaluation, as aws/policy tells it.
	Decision json.RawMessage `json:"decision,omitempty"`

	// Code and Message are what was answered; empty is success.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
}

// Add notes a check. A nil record notes nothing.
func (r *Record) Add(c Check) {
	if r != nil && len(r.Checks) < maxChecks {
		r.Checks = append(r.Checks, c)
	}
}

// Genuine notes that the token's signature is good. A nil record notes nothing.
func (r *Record) Genuine() {
	if r != nil && r.Token != nil {
		r.Token.Verified = true
	}
}

// Said notes a check that says yes where ok holds.
func (r *Record) Said(ok bool, c Check) bool {
	c.Verdict = No
	if ok {
		c.Verdict, c.Hints = Yes, nil
	}
	r.Add(c)
	return ok
}

// First returns the first check that said no.
func (r *Record) First() (Check, bool) {
	for _, c := range r.Checks {
		if c.Verdict == No {
			return c, true
		}
	}
	return Check{}, false
}

// maxChecks is how many checks a record holds; no call has as many.
const maxChecks = 100
