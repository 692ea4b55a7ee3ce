package access_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/access"
	"laterna.dev/laterna/internal/aws/caller"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/memory"
	"laterna.dev/laterna/internal/aws/policy"
)

const account = "111122223333"

func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`
}

func TestWhatACallerMayDo(t *testing.T) {
	d := memory.New(time.Now)
	boundary, err := d.CreatePolicy(t.Context(), iam.Policy{Account: account, Name: "b", Path: "/", Document: allow("iam:Get*")})
	if err != nil {
		t.Fatal(err)
	}
	attached, err := d.CreatePolicy(t.Context(), iam.Policy{Account: account, Name: "a", Path: "/", Document: allow("iam:ListRoles")})
	if err != nil {
		t.Fatal(err)
	}
	role := func(r iam.Role) iam.Role {
		r.Account, r.Path = account, "/"
		made, err := d.CreateRole(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	plain := role(iam.Role{Name: "plain", Inline: map[string]string{"p": allow("iam:GetRole")}, Attached: []string{attached.ARN()}})
	bounded := role(iam.Role{Name: "bounded", Inline: map[string]string{"p": allow("iam:*")}, PermissionsBoundary: boundary.ARN()})
	broken := role(iam.Role{Name: "broken", Inline: map[string]string{"p": "{"}, Attached: []string{"arn:aws:iam::111122223333:policy/gone"}})
	session := func(r iam.Role, with caller.Session) *caller.Caller {
		with.RoleARN, with.RoleID, with.Name = r.ARN(), r.ID, "s"
		return &caller.Caller{Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/" + r.Name + "/s", UserID: r.ID + ":s", Session: &with}
	}
	namesake := plain
	namesake.ID = "AROAANOTHER"
	for what, tc := range map[string]struct {
		who    *caller.Caller
		action string
		want   bool
	}{
		"the administrator":        {&caller.Caller{Account: account, ARN: "arn:aws:iam::111122223333:user/admin", Administrator: true}, "iam:DeleteRole", true},
		"a user without policies":  {&caller.Caller{Account: account, ARN: "arn:aws:iam::111122223333:user/u"}, "iam:GetRole", false},
		"inline":                   {session(plain, caller.Session{}), "iam:GetRole", true},
		"attached":                 {session(plain, caller.Session{}), "iam:ListRoles", true},
		"not named":                {session(plain, caller.Session{}), "iam:DeleteRole", false},
		"within the boundary":      {session(bounded, caller.Session{}), "iam:GetRole", true},
		"beyond the boundary":      {session(bounded, caller.Session{}), "iam:ListRoles", false},
		"session policy":           {session(plain, caller.Session{Policy: allow("iam:ListRoles")}), "iam:ListRoles", true},
		"beyond session policy":    {session(plain, caller.Session{Policy: allow("iam:ListRoles")}), "iam:GetRole", false},
		"managed session policy":   {session(plain, caller.Session{PolicyARNs: []string{attached.ARN()}}), "iam:GetRole", false},
		"session policy is gone":   {session(plain, caller.Session{PolicyARNs: []string{"arn:aws:iam::111122223333:policy/gone"}}), "iam:GetRole", false},
		"policies that are none":   {session(broken, caller.Session{}), "iam:GetRole", false},
		"a role of the same name":  {session(namesake, caller.Session{}), "iam:GetRole", false},
		"a role that is not there": {session(iam.Role{Account: account, Name: "gone", Path: "/"}, caller.Session{}), "iam:GetRole", false},
	} {
		d, err := access.Decide(t.Context(), d, tc.who, tc.action, "*", policy.Context{})
		if err != nil || d.Allowed() != tc.want {
			t.Errorf("%s: %v, %v", what, d.Allowed(), err)
		}
	}
}

func TestConditionKeys(t *testing.T) {
	r := httptest.NewRequest("POST", "https://sts.eu-west-1.amazonaws.com/", nil)
	r.RemoteAddr = "10.0.0.7:1234"
	r.Header.Set("User-Agent", "aws-cli/2")
	var k policy.Context
	access.Common(&k, r, time.Unix(1e9, 0))
	access.Of(&k, &caller.Caller{Account: account, UserID: "AROA:s", Session: &caller.Session{
		RoleARN: "arn:aws:iam::111122223333:role/p/r", Tags: map[string]string{"Team": "x"}, SourceIdentity: "me",
		FederatedProvider: "arn:p", Claims: map[string][]string{"i:sub": {"s"}, "i:amr": {"a"}}, Issued: time.Unix(1e9, 0)}})
	for name, want := range map[string]string{
		"aws:currenttime": "2001-09-09T01:46:40Z", "aws:EpochTime": "1000000000", "aws:SecureTransport": "true", "aws:RequestedRegion": "eu-west-1",
		"aws:SourceIp": "10.0.0.7", "aws:UserAgent": "aws-cli/2", "aws:PrincipalArn": "arn:aws:iam::111122223333:role/p/r", "aws:PrincipalTag/team": "x",
		"aws:SourceIdentity": "me", "aws:FederatedProvider": "arn:p", "i:sub": "s", "i:amr": "a", "aws:PrincipalType": "AssumedRole", "aws:TokenIssueTime": "2001-09-09T01:46:40Z",
	} {
		if key, ok := k.Get(name); !ok || key.Values[0] != want || key.Multivalued != (name == "i:amr") {
			t.Errorf("%s is %+v, want %s", name, key, want)
		}
	}
}

func TestRegionOfACall(t *testing.T) {
	for _, tc := range []struct{ host, header, query, want string }{
		{"sts.ap-south-1.amazonaws.com", "AWS4-HMAC-SHA256 Credential=A/20150830/eu-west-1/sts/aws4_request, x", "", "ap-south-1"},
		{"127.0.0.1:6443", "AWS4-HMAC-SHA256 Credential=A/20150830/eu-west-1/sts/aws4_request, x", "", "eu-west-1"},
		{"127.0.0.1:6443", "", "X-Amz-Credential=A/20150830/eu-north-1/sts/aws4_request", "eu-north-1"},
		{"sts.amazonaws.com", "", "", "us-east-1"},
		{"sts.cn-north-1.amazonaws.com.cn", "", "", "cn-north-1"},
	} {
		r := httptest.NewRequest(http.MethodPost, "https://"+tc.host+"/?"+tc.query, nil)
		r.Header.Set("Authorization", tc.header)
		if got := access.Region(r); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}
