package sts

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/session"
)

// credentials are those in an answer.
type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

// assumedRole names a session in an answer.
type assumedRole struct {
	ARN string `xml:"Arn"`
	ID  string `xml:"AssumedRoleId"`
}

// role looks up the role that is to be assumed. False is that there is none of that ARN.
func (s *STS) role(ctx context.Context, name arn.Role, r *explain.Record) (iam.Role, bool, error) {
	check := explain.Check{Name: "role", Got: name.String(), Want: "a role of the account, by its whole ARN with path and partition"}
	role, err := s.config.Directory.Role(ctx, name.Account, name.Name)
	if errors.Is(err, iam.ErrNotFound) {
		check.Why = "there is no role of that name in account " + name.Account
		return iam.Role{}, r.Said(false, check), nil
	}
	if err != nil {
		return iam.Role{}, false, err
	}
	is := role.ARN()
	if is != name.String() {
		check.Why = "the role's ARN is " + is
	}
	return role, r.Said(is == name.String(), check), nil
}

// trust reads the trust policy of a role. One that cannot be read trusts nobody.
func trust(role *iam.Role) *policy.Source {
	d, err := policy.Parse(policy.Trust, role.TrustPolicy)
	if err != nil {
		return &policy.Source{Name: role.ARN()}
	}
	return &policy.Source{Name: role.ARN(), Document: d.Bind(role.Principals)}
}

// decide asks the policies for each of the actions, and returns the first decision that
// is no.
func decide(actions []string, role *iam.Role, who policy.Principal, keys policy.Context, with *policy.Policies, r *explain.Record) (denied *policy.Decision) {
	p := *with
	p.Trust = trust(role)
	var all []policy.Decision
	for _, action := range actions {
		d := policy.Decide(&policy.Request{Action: action, Resource: role.ARN(), Principal: who, Context: keys}, &p)
		all = append(all, d)
		check := explain.Policy(&d, action, "allowed by the trust policy of "+role.ARN())
		if !r.Said(d.Allowed(), check) && denied == nil {
			denied = &d
		}
	}
	r.Decided(all...)
	return denied
}

// pack says how much room a session takes, in percent, or that it is too much.
func pack(a *asked, c *caller.Session) (int, error) {
	policies, tags := session.PackedPolicies(a.policy, a.policies), session.PackedTags(c.Tags, c.Transitive, c.SourceIdentity)
	switch {
	case tags > 100:
		return 0, query.Refuse(http.StatusBadRequest, "PackedPolicyTooLarge", "Packed size of session tags consumes %d%% of allotted space.", tags)
	case policies > 100:
		return 0, query.Refuse(http.StatusBadRequest, "PackedPolicyTooLarge", "Packed policy consumes %d%% of allotted space, please use smaller policy.", policies)
	}
	return max(policies, tags), nil
}

// begin makes the credentials of a session of a role.
func (s *STS) begin(ctx context.Context, a *asked, role *iam.Role, with caller.Session) (credentials, assumedRole, error) {
	with.RoleARN, with.RoleID, with.Name = role.ARN(), role.ID, a.session
	with.Policy, with.PolicyARNs = a.policy, a.policies
	with.Tags = mergeTags(role, with.Tags)
	holder := caller.Caller{Account: role.Account, ARN: a.role.Session(a.session), UserID: role.ID + ":" + a.session, Session: &with}
	lasts := a.duration
	if f := s.config.Faults.Get(); f.SessionLife.Duration > 0 {
		lasts = f.SessionLife.Duration
	}
	c, err := s.config.Sealer.Begin(ctx, holder, lasts)
	if err != nil {
		return credentials{}, assumedRole{}, err
	}
	return credentials{c.ID, c.Secret.Reveal(), c.Token.Reveal(), query.Seconds(c.Holder.Session.Expires)},
		assumedRole{holder.ARN, holder.UserID}, nil
}

// mergeTags returns the tags of a session: those of the role, but where the session has
// its own of that key, in whatever letter case.
func mergeTags(role *iam.Role, own map[string]string) map[string]string {
	all := map[string]string{}
	for _, tag := range role.Tags {
		all[tag.Key] = tag.Value
	}
	for key := range own {
		maps.DeleteFunc(all, func(other, _ string) bool { return sameKey(key, other) })
	}
	maps.Copy(all, own)
	return all
}

// setTags sets the condition keys of the tags that a session is asked for with.
func setTags(k *policy.Context, tags map[string]string, transitive []string) {
	if len(tags) == 0 {
		return
	}
	for key, value := range tags {
		k.Set("aws:RequestTag/"+key, value)
	}
	k.SetAll("aws:TagKeys", slices.Sorted(maps.Keys(tags)))
	if len(transitive) > 0 {
		k.SetAll("sts:TransitiveTagKeys", transitive)
	}
}
