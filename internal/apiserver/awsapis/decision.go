package awsapis

import (
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
)

// noteDecision keeps why the policies of a caller denied a call of IAM.
func noteDecision(call *query.Call, d *policy.Decision) {
	r := explain.Of(call)
	if r == nil {
		return
	}
	r.Said(false, explain.Policy(d, d.Action+" on "+d.Resource, "allowed by the policies of "+call.Caller.ARN))
	r.Decided(*d)
}
