package policy_test

import (
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// What an attacker controls are tokens, tags and names; none of it may act as a pattern, and
// none that only looks like what is trusted may be taken for it.
func TestWhatARequestHoldsIsNeverAPattern(t *testing.T) {
	const issuer = "oidc.example.com/id/A"
	const trusted = "arn:aws:iam::111122223333:oidc-provider/" + issuer
	exact := web(trusted, `{"StringEquals":{"`+issuer+`:sub":"system:serviceaccount:prod:x","`+issuer+`:aud":"sts.amazonaws.com"}}`)
	like := web(trusted, `{"StringLike":{"`+issuer+`:sub":"system:serviceaccount:prod:*"},"StringEquals":{"`+issuer+`:aud":"sts.amazonaws.com"}}`)
	for _, c := range []struct {
		name, policy, provider, sub, aud string
		allowed                          bool
	}{
		{"as it should be", exact, trusted, "system:serviceaccount:prod:x", "sts.amazonaws.com", true},
		{"as it should be, by pattern", like, trusted, "system:serviceaccount:prod:y", "sts.amazonaws.com", true},
		{"sub of stars", exact, trusted, "*", "sts.amazonaws.com", false},
		{"sub with a star", exact, trusted, "system:serviceaccount:*:x", "sts.amazonaws.com", false},
		{"sub of stars, by pattern", like, trusted, "system:serviceaccount:*:x", "sts.amazonaws.com", false},
		{"sub that is a variable", exact, trusted, "${*}", "sts.amazonaws.com", false},
		{"sub in other case", exact, trusted, "System:ServiceAccount:prod:x", "sts.amazonaws.com", false},
		{"sub that goes on", exact, trusted, "system:serviceaccount:prod:xx", "sts.amazonaws.com", false},
		{"sub with a zero byte", exact, trusted, "system:serviceaccount:prod:x\x00", "sts.amazonaws.com", false},
		{"sub with a look-alike", exact, trusted, "system:serviceaccount:prod:х", "sts.amazonaws.com", false},
		{"sub before the pattern", like, trusted, "evil:system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"aud with a star", exact, trusted, "system:serviceaccount:prod:x", "*", false},
		{"aud with a slash", exact, trusted, "system:serviceaccount:prod:x", "sts.amazonaws.com/", false},
		{"issuer with a slash", exact, trusted + "/", "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"issuer in other case", exact, "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/a", "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"issuer below", exact, trusted + "/evil", "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"provider of another account", exact, "arn:aws:iam::444455556666:oidc-provider/" + issuer, "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"provider of another partition", exact, "arn:aws-cn:iam::111122223333:oidc-provider/" + issuer, "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"provider of stars", exact, "*", "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
		{"no provider", exact, "", "system:serviceaccount:prod:x", "sts.amazonaws.com", false},
	} {
		s := source(t, policy.Trust, c.policy)
		r := policy.Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: "arn:aws:iam::111122223333:role/r", Principal: policy.Principal{Federated: c.provider}}
		r.Context.Set(issuer+":sub", c.sub)
		r.Context.Set(issuer+":aud", c.aud)
		if d := policy.Decide(&r, &policy.Policies{Trust: &s}); d.Allowed() != c.allowed {
			t.Errorf("%s: %s", c.name, d.Outcome)
		}
	}
}

// A list of audiences is not one of its members.
func TestListOfAudiencesIsMatchedByNoPlainOperator(t *testing.T) {
	s := source(t, policy.Trust, web(provider, `{"StringEquals":{"oidc.example.com:aud":"sts.amazonaws.com"}}`))
	r := policy.Request{Action: "sts:AssumeRoleWithWebIdentity", Principal: policy.Principal{Federated: provider}}
	r.Context.SetAll("oidc.example.com:aud", []string{"sts.amazonaws.com", "other"})
	if d := policy.Decide(&r, &policy.Policies{Trust: &s}); d.Allowed() {
		t.Error("it is")
	}
}
