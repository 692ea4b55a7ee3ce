package sts_test

import (
	"net/url"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
)

// TestClaimsThatAreConditionKeys trusts by one claim each: those that AWS documents of an
// issuer are keys, and no others.
func TestClaimsThatAreConditionKeys(t *testing.T) {
	w := newWorld(t)
	claims := object{
		"repository_id": "17", "environment": "production", "project_id": "9", "organization_slug": "acme", "email": "me@example.com",
		"oidc.circleci.com/project-id": "p1", "rpst_id": "r1", "actor_id": 12, "repository": []string{"a"}, "repository_owner": "acme",
	}
	made := 0
	for _, tc := range []struct {
		issuer, claim, value string
		is                   bool
	}{
		{"token.actions.githubusercontent.com", "repository_id", "17", true},
		{"token.actions.githubusercontent.com/acme", "environment", "production", true},
		{"token.actions.acme.ghe.com", "environment", "production", true},
		{"github.com/enterprises/acme", "repository_id", "17", true},
		{"gitlab.com", "project_id", "9", true},
		{"agent.buildkite.com", "organization_slug", "acme", true},
		{"oidc.circleci.com/org/1234", "oidc.circleci.com/project-id", "p1", true},
		{"idcs-12ab.identity.oraclecloud.com", "rpst_id", "r1", true},
		{"issuer.example", "email", "me@example.com", true},
		{"accounts.google.com", "oaud", audience, true},
		{"token.actions.githubusercontent.com", "repository_owner", "acme", false}, // not on AWS's list
		{"token.actions.githubusercontent.com", "actor_id", "12", false},           // no text
		{"token.actions.githubusercontent.com", "repository", "a", false},          // a list
		{"token.actions.githubusercontent.com.evil.example", "repository_id", "17", false},
		{"token-actions.githubusercontent.com", "repository_id", "17", false},
		{"token.actions.githubusercontent.com/acme/more", "repository_id", "17", false},
		{"evil.example/token.actions.githubusercontent.com", "repository_id", "17", false},
		{"gitlab.example", "project_id", "9", false},
		{"issuer.example", "repository_id", "17", false},
		{"oidc.circleci.com/org/1234", "rpst_id", "r1", false},
	} {
		i := w.known(tc.issuer)
		made++
		role := w.role(iam.Role{Name: "role-" + itoa(int64(made)), TrustPolicy: trusting(providerARN(tc.issuer), `{"StringEquals":{"`+tc.issuer+`:sub":"`+subject+`","`+tc.issuer+`:`+tc.claim+`":"`+tc.value+`"}}`)})
		a := w.assume(i.token(claims), func(v url.Values) { v.Set("RoleArn", role.ARN()) })
		if got := a.status == 200; got != tc.is || !got && a.Message != notAllowed {
			t.Errorf("%s:%s: %d %s %s", tc.issuer, tc.claim, a.status, a.Code, a.Message)
		}
	}
}

// known is an issuer with its provider, made when it is asked for first.
func (w *world) known(at string) *issuer {
	w.t.Helper()
	if i := w.issuers[at]; i != nil {
		return i
	}
	i := w.issuer(at)
	w.provider(iam.Provider{URL: at, ClientIDs: []string{audience}})
	if w.issuers == nil {
		w.issuers = map[string]*issuer{}
	}
	w.issuers[at] = i
	return i
}
