package explain

import (
	"encoding/json"

	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/policy/hint"
)

// maxHints is how many hints are told of a denial; the nearest are the first.
const maxHints = 10

// Policy is the check of what the policies said: which of them said no, and what to change.
// got is what was asked for, want what would let it be.
func Policy(d *policy.Decision, got, want string) Check {
	c := Check{Name: "policy", Got: got, Want: want}
	if d.Allowed() {
		return c
	}
	c.Why = why(d)
	for _, h := range hint.Of(d) {
		c.Hints = append(c.Hints, h.Text)
	}
	c.Hints = c.Hints[:min(maxHints, len(c.Hints))]
	return c
}

// why says in a sentence which policy said no.
func why(d *policy.Decision) string {
	layer := string(d.Layer)
	if d.Layer == policy.TrustLayer {
		layer = "trust policy of the role"
	}
	if d.Outcome == policy.ExplicitDeny {
		return "a statement of the " + layer + " denies it"
	}
	return "no statement of the " + layer + " allows it"
}

// Decided keeps the trace of decisions. A nil record keeps nothing.
func (r *Record) Decided(all ...policy.Decision) {
	if r == nil {
		return
	}
	if text, err := json.Marshal(all); err == nil {
		r.Decision = text
	}
}
