package queryapi

import (
	"context"
	"strings"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
)

// request is one call with its parameters.
type request struct {
	*query.Params
	api  *API
	ctx  context.Context //nolint:containedctx // it lives as long as the call
	call *query.Call
}

func (r *request) store() iam.Store { return r.api.config.Store }

// account is the caller's.
func (r *request) account() string { return r.call.Caller.Account }

// owner is the caller's account with its partition, which the caller's own name tells.
func (r *request) owner() arn.Owner {
	o := arn.Owner{Partition: arn.DefaultPartition, Account: r.account()}
	if a, err := arn.Parse(r.call.Caller.ARN); err == nil {
		o.Partition = a.Partition
	}
	return o
}

// target is what an operation is done to.
type target struct {
	// arn is what policies name.
	arn string
	// shown is how a refusal names it; "" is the ARN.
	shown string
	// keys are condition keys of the operation.
	keys map[string]string
	// tags are those that are sent, resource those of what there is.
	tags, resource []iam.Tag
}

// authorize refuses what is not the caller's account's, and what the caller's policies do
// not allow.
func (r *request) authorize(t target) error {
	var k policy.Context
	access.Common(&k, r.call.HTTP, r.api.config.Clock.Now())
	access.Of(&k, r.call.Caller)
	for name, value := range t.keys {
		k.Set(name, value)
	}
	for _, tag := range t.resource {
		k.Set("aws:ResourceTag/"+tag.Key, tag.Value)
		k.Set("iam:ResourceTag/"+tag.Key, tag.Value)
	}
	var sent []string
	for _, tag := range t.tags {
		k.Set("aws:RequestTag/"+tag.Key, tag.Value)
		sent = append(sent, tag.Key)
	}
	if len(sent) > 0 {
		k.SetAll("aws:TagKeys", sent)
	}
	d, err := access.Decide(r.ctx, r.store(), r.call.Caller, "iam:"+r.call.Action, t.arn, k)
	if err != nil {
		return err
	}
	if !d.Allowed() {
		if told := r.api.config.Decided; told != nil {
			told(r.call, &d)
		}
		return r.denied(t, d.Reason())
	}
	if a, err := arn.Parse(t.arn); err == nil && a.Account != r.account() && !r.readsAWS(a.Account) {
		return r.denied(t, " because no resource-based policy allows the iam:"+r.call.Action+" action")
	}
	return nil
}

// readsAWS tells that a call reads what AWS itself manages, which all accounts have.
func (r *request) readsAWS(account string) bool {
	return account == iam.AWSAccount && strings.HasPrefix(r.call.Action, "Get")
}

func (r *request) denied(t target, reason string) error {
	shown := t.shown
	if shown == "" {
		shown = t.arn
	}
	return query.AccessDenied("User: %s is not authorized to perform: iam:%s on resource: %s%s", r.call.Caller.ARN, r.call.Action, shown, reason)
}
