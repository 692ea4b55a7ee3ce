package queryapi_test

import (
	"slices"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/queryapi"
	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
)

func TestCallsAreSigned(t *testing.T) {
	d := newDesk(t)
	d.signer = sigv4test.Credentials{}
	for _, action := range []string{"ListRoles", "CreateRole", "GetOpenIDConnectProvider"} {
		d.refused(403, "MissingAuthenticationToken", "Request is missing Authentication Token", action)
	}
	d.administrator(account)
	d.signer.Secret = "wrong"
	if a := d.do("ListRoles"); a.status != 403 {
		t.Errorf("a wrong signature: %d %s", a.status, a.body)
	}
	d.administrator(account)
	d.signer.ID = iam.NewKeyID(iam.LongTermPrefix, account)
	if a := d.do("ListRoles"); a.status != 403 {
		t.Errorf("an unknown key: %d %s", a.status, a.body)
	}
}

func TestAccountsAreApart(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a")
	arn := d.makePolicy("p")
	d.must("CreateOpenIDConnectProvider", "Url", "https://a.example")
	d.administrator(other)
	d.lacks(d.must("ListRoles"), "<member>")
	d.lacks(d.must("ListPolicies"), "<member>")
	d.lacks(d.must("ListOpenIDConnectProviders"), "<member>")
	d.refused(404, "NoSuchEntity", "The role with name a cannot be found.", "GetRole", "RoleName", "a")
	for _, action := range []string{"GetPolicy", "DeletePolicy"} {
		d.refused(403, "AccessDenied", "User: arn:aws:iam::444455556666:user/administrator is not authorized to perform: iam:"+action+" on resource: policy "+arn+" because no resource-based policy allows the iam:"+action+" action", action, "PolicyArn", arn)
	}
	for _, action := range []string{"DeleteOpenIDConnectProvider", "GetOpenIDConnectProvider"} {
		if a := d.do(action, "OpenIDConnectProviderArn", providers+"a.example"); a.status != 403 {
			t.Errorf("%s: %d %s", action, a.status, a.body)
		}
	}
	d.must("CreateRole", "RoleName", "A", "AssumeRolePolicyDocument", trust)
	d.must("CreateOpenIDConnectProvider", "Url", "https://a.example")
}

// Row E8: iam:GetRole is allowed, iam:ListRoles is not.
func TestPoliciesOfARoleDecide(t *testing.T) {
	d := newDesk(t)
	d.makeRole("app")
	d.makeRole("other", "Path", "/x/")
	d.must("PutRolePolicy", "RoleName", "app", "PolicyName", "p", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"`+roleARN+`x/*"}]}`)
	d.role("app")
	d.must("GetRole", "RoleName", "other")
	user := "User: arn:aws:sts::111122223333:assumed-role/app/me is not authorized to perform: iam:"
	d.refused(403, "AccessDenied", user+"GetRole on resource: role app because no identity-based policy allows the iam:GetRole action", "GetRole", "RoleName", "app")
	d.refused(403, "AccessDenied", user+"GetRole on resource: role none because no identity-based policy allows the iam:GetRole action", "GetRole", "RoleName", "none")
	d.refused(403, "AccessDenied", user+"ListRoles on resource: arn:aws:iam::111122223333:role/ because no identity-based policy allows the iam:ListRoles action", "ListRoles")
	d.refused(403, "AccessDenied", user+"ListPolicies on resource: policy path / because no identity-based policy allows the iam:ListPolicies action", "ListPolicies")
	d.refused(403, "AccessDenied", user+"CreateRole on resource: arn:aws:iam::111122223333:role/new because no identity-based policy allows the iam:CreateRole action", "CreateRole", "RoleName", "new", "AssumeRolePolicyDocument", trust)

	d.administrator(account)
	managed := d.makePolicy("all", "PolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:AttachRolePolicy","Resource":"*","Condition":{"ArnNotEquals":{"iam:PolicyARN":"`+policies+`all"}}},
		{"Effect":"Deny","Action":"iam:CreateRole","Resource":"*","Condition":{"Null":{"aws:RequestTag/team":"true"}}}]}`)
	d.must("AttachRolePolicy", "RoleName", "app", "PolicyArn", managed)
	fine := d.makePolicy("fine")
	d.role("app")
	d.must("ListRoles")
	d.must("AttachRolePolicy", "RoleName", "other", "PolicyArn", managed)
	d.refused(403, "AccessDenied", user+"AttachRolePolicy on resource: role other with an explicit deny in an identity-based policy", "AttachRolePolicy", "RoleName", "other", "PolicyArn", fine)
	if a := d.do("CreateRole", "RoleName", "new", "AssumeRolePolicyDocument", trust); a.status != 403 {
		t.Errorf("without a tag: %d", a.status)
	}
	d.makeRole("new", "Tags.member.1.Key", "team", "Tags.member.1.Value", "x")
}

func TestWhyACallWasDeniedIsTold(t *testing.T) {
	var told []string
	d := newDesk(t, func(c *queryapi.Config) {
		c.Decided = func(call *query.Call, d *policy.Decision) {
			told = append(told, call.Action+": "+d.Action+" "+d.Resource+" "+string(d.Outcome))
		}
	})
	d.makeRole("app")
	d.role("app")
	if a := d.do("GetRole", "RoleName", "app"); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if want := []string{"GetRole: iam:GetRole " + roleARN + "app implicitDeny"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
