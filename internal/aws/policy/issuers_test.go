package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// web returns a trust policy that lets web identities of a provider in.
func web(federated, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity"%s}}`, federated, condition)
}

// Each row was seen on AWS in September 2026.
func TestSharedIssuersNeedATenant(t *testing.T) {
	const cognito, google = "cognito-identity.amazonaws.com", "accounts.google.com"
	of := func(issuer string) string { return "arn:aws:iam::111122223333:oidc-provider/" + issuer }
	github := of("token.actions.githubusercontent.com")
	for _, c := range []struct {
		federated, condition string
		ok                   bool
	}{
		{cognito, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"x"}}`, true},
		{cognito, `{"StringEquals":{"COGNITO-IDENTITY.AMAZONAWS.COM:AUD":"x"}}`, true},
		{cognito, `{"StringLike":{"cognito-identity.amazonaws.com:aud":"?"}}`, true},
		{cognito, `{"StringLike":{"cognito-identity.amazonaws.com:aud":"**"}}`, true},
		{cognito, `{"StringLike":{"cognito-identity.amazonaws.com:aud":[]}}`, true},
		{cognito, `{"StringEqualsIgnoreCase":{"cognito-identity.amazonaws.com:aud":""}}`, true},
		{cognito, `{"ForAnyValue:StringEquals":{"cognito-identity.amazonaws.com:aud":"x"}}`, true},
		{cognito, `{"ForAllValues:StringLike":{"cognito-identity.amazonaws.com:aud":["*","x"]}}`, false},
		{cognito, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"*"}}`, false},
		{cognito, `{"StringNotEquals":{"cognito-identity.amazonaws.com:aud":"x"}}`, false},
		{cognito, `{"StringEqualsIfExists":{"cognito-identity.amazonaws.com:aud":"x"}}`, false},
		{cognito, `{"Null":{"cognito-identity.amazonaws.com:aud":"false"}}`, false},
		{cognito, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"x"},"StringLike":{"cognito-identity.amazonaws.com:aud":"*"}}`, true},
		{google, `{"StringEquals":{"accounts.google.com:aud":"*"}}`, true},
		{google, `{"StringEquals":{"accounts.google.com:sub":"x"}}`, true},
		{google, `{"StringLike":{"accounts.google.com:aud":"x"}}`, false},
		{google, `{"StringEquals":{"accounts.google.com:SUB":"x"}}`, false},
		{google, `{"StringEquals":{"accounts.google.com:email":"x"}}`, false},
		{"www.amazon.com", `{"StringEquals":{"www.amazon.com:app_id":"x"}}`, true},
		{"www.amazon.com", `{"StringEquals":{"www.amazon.com:aud":"x"}}`, false},
		{github, ``, false},
		{github, `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:me/*"}}`, true},
		{github, `{"StringLike":{"token.actions.githubusercontent.com:sub":"?"}}`, true},
		{github, `{"StringLike":{"token.actions.githubusercontent.com:sub":"*mine"}}`, false},
		{github, `{"StringEquals":{"token.actions.githubusercontent.com:sub":" "}}`, false},
		{github, `{"StringEquals":{"token.actions.githubusercontent.com:job_workflow_ref":"x"}}`, true},
		{github, `{"StringEquals":{"token.actions.githubusercontent.com:job_workflow_ref":"x","token.actions.githubusercontent.com:sub":"*"}}`, false},
		{github + "/private", `{"StringEquals":{"token.actions.githubusercontent.com:sub":"x"}}`, false},
		{of("gitlab.com"), `{"StringEquals":{"gitlab.com:aud":"x"}}`, false},
		{of("gitlab.com"), `{"StringEquals":{"gitlab.com:sub":"x"}}`, true},
		{of("oidc.eks.us-east-1.amazonaws.com/id/ABC"), ``, true},
	} {
		if got := refused(t, policy.Trust, web(c.federated, c.condition)); (got == "") != c.ok {
			t.Errorf("%s %s: refused with %q, want ok %v", c.federated, c.condition, got, c.ok)
		}
	}
}

func TestSharedIssuersAreRefusedInTheWordsOfIAM(t *testing.T) {
	github := "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
	for federated, want := range map[string]string{
		"cognito-identity.amazonaws.com": "A condition block must be present for the Cognito provider",
		"accounts.google.com":            "Policy trusting accounts.google.com requires a StringEquals condition on an application id",
		github: "Trust policy with trusted principal " + github + " must evaluate, using StringEquals, StringLike or StringEqualsIgnoreCase, " +
			"token.actions.githubusercontent.com:sub or token.actions.githubusercontent.com:job_workflow_ref which is not scoped to all.",
	} {
		if got := refused(t, policy.Trust, web(federated, "")); got != want {
			t.Errorf("%s\n got %q\nwant %q", federated, got, want)
		}
	}
}

func TestSharedIssuersAreForNewPoliciesThatLetWebIdentitiesIn(t *testing.T) {
	bare := web("arn:aws:iam::111122223333:oidc-provider/gitlab.com", "")
	if _, err := policy.Parse(policy.Trust, bare); err != nil {
		t.Errorf("a policy that is stored can no longer be read: %v", err)
	}
	for _, text := range []string{
		strings.Replace(bare, "sts:AssumeRoleWithWebIdentity", "sts:TagSession", 1),
		strings.Replace(bare, "Allow", "Deny", 1),
	} {
		if got := refused(t, policy.Trust, text); got != "" {
			t.Errorf("%s\nis refused: %s", text, got)
		}
	}
}
