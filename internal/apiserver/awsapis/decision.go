package awsapis

import (
	"encoding/json"

	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/policy/hint"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

// maxHints is how many hints are told of a denial; the nearest are the first.
const maxHints = 10

// noteDecision keeps why the policies of a caller denied a call of IAM.
func noteDecision(call *query.Call, d *policy.Decision) {
	r := explain.Of(call)
	if r == nil {
		return
	}
	check := explain.Check{
		Name: "policy", Verdict: explain.No, Got: d.Action + " on " + d.Resource, Want: "allowed by the policies of " + call.Caller.ARN,
		Why: "no statement of the " + string(d.Layer) + " allows it",
	}
	if d.Outcome == policy.ExplicitDeny {
		check.Why = "a statement of the " + string(d.Layer) + " denies it"
	}
	for _, h := range hint.Of(d) {
		check.Hints = append(check.Hints, h.Text)
	}
	check.Hints = check.Hints[:min(maxHints, len(check.Hints))]
	r.Add(check)
	if text, err := json.Marshal([]policy.Decision{*d}); err == nil {
		r.Decision = text
	}
}
