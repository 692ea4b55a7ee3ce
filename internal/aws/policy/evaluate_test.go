package policy_test

import (
	"fmt"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

func TestActionsAndResources(t *testing.T) {
	for _, c := range []struct {
		members, action, resource string
		want                      policy.Outcome
	}{
		{`"Effect":"Allow","Action":["s3:Get*","s3:ListBucket"],"Resource":"arn:aws:s3:::b/*"`, "s3:GetObject", "arn:aws:s3:::b/f", policy.Allowed},
		{`"Effect":"Allow","Action":["s3:Get*","s3:ListBucket"],"Resource":"arn:aws:s3:::b/*"`, "S3:gEtObJeCt", "arn:aws:s3:::b/f", policy.Allowed},
		{`"Effect":"Allow","Action":"S3:GETOBJECT","Resource":"*"`, "s3:GetObject", "arn:aws:s3:::b/f", policy.Allowed},
		{`"Effect":"Allow","Action":"s3:GetObjec?","Resource":"*"`, "s3:GetObject", "arn:aws:s3:::b/f", policy.Allowed},
		{`"Effect":"Allow","Action":"s3:Get*","Resource":"*"`, "s3:PutObject", "arn:aws:s3:::b/f", policy.ImplicitDeny},
		{`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/*"`, "s3:GetObject", "arn:aws:s3:::B/f", policy.ImplicitDeny},
		{`"Effect":"Allow","NotAction":["iam:*","sts:*"],"Resource":"*"`, "iam:GetRole", "*", policy.ImplicitDeny},
		{`"Effect":"Allow","NotAction":["iam:*","sts:*"],"Resource":"*"`, "s3:GetObject", "*", policy.Allowed},
		{`"Effect":"Deny","Action":"*","NotResource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]`, "s3:GetObject", "arn:aws:s3:::c/f", policy.ExplicitDeny},
		{`"Effect":"Deny","Action":"*","NotResource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]`, "s3:GetObject", "arn:aws:s3:::b/f", policy.ImplicitDeny},
		{`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/*/x/*"`, "s3:GetObject", "arn:aws:s3:::b/1/2/x/3/f", policy.Allowed},
		{`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/*suffix"`, "s3:GetObject", "arn:aws:s3:::b/a:b:suffix", policy.Allowed},
		{`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/[a]"`, "s3:GetObject", "arn:aws:s3:::b/a", policy.ImplicitDeny},
		{`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs"`, "sqs:Send", "arn:aws:sqs:eu-west-1:111122223333:q", policy.Allowed},
		{`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs"`, "sqs:Send", "arn:aws:sns:eu-west-1:111122223333:q", policy.ImplicitDeny},
	} {
		d, err := policy.Parse(policy.Identity, doing(c.members))
		if err != nil {
			t.Fatal(err)
		}
		e := d.Evaluate(&policy.Request{Action: c.action, Resource: c.resource})
		if e.Outcome != c.want {
			t.Errorf("%s: %s on %s is %s, want %s", c.members, c.action, c.resource, e.Outcome, c.want)
		}
		if s := e.Statements[0]; s.Applies != (s.Action.Matched && s.Resource.Matched) || s.Action.Request != c.action || s.Resource.Request != c.resource {
			t.Errorf("%s is traced as %+v", c.members, s)
		}
	}
}

func TestPrincipals(t *testing.T) {
	user := policy.Principal{ARN: "arn:aws:iam::111122223333:user/x/alice", ID: "AIDAEXAMPLEEXAMPLEEXA", Account: "111122223333"}
	session := policy.Principal{
		ARN: "arn:aws:sts::111122223333:assumed-role/r/s", ID: "AROAEXAMPLEEXAMPLEEXA:s", Account: "111122223333",
		RoleARN: "arn:aws:iam::111122223333:role/p/r", RoleID: "AROAEXAMPLEEXAMPLEEXA",
	}
	federated := policy.Principal{Federated: provider}
	service := policy.Principal{Service: "ec2.amazonaws.com"}
	for _, c := range []struct {
		named string
		who   policy.Principal
		want  policy.Grant
	}{
		{`{"AWS":"*"}`, user, policy.ThroughAll},
		{`{"AWS":"*"}`, federated, policy.NoGrant},
		{`{"AWS":"*"}`, service, policy.NoGrant},
		{`{"AWS":"111122223333"}`, user, policy.ThroughOwner},
		{`{"AWS":"arn:aws:iam::111122223333:root"}`, session, policy.ThroughOwner},
		{`{"AWS":"arn:aws-cn:iam::111122223333:root"}`, session, policy.NoGrant},
		{`{"AWS":"444455556666"}`, user, policy.NoGrant},
		{`{"AWS":"arn:aws:iam::111122223333:user/x/alice"}`, user, policy.Itself},
		{`{"AWS":"arn:aws:iam::111122223333:user/alice"}`, user, policy.NoGrant},
		{`{"AWS":"arn:aws:iam::111122223333:user/x/Alice"}`, user, policy.NoGrant},
		{`{"AWS":"AIDAEXAMPLEEXAMPLEEXA"}`, user, policy.Itself},
		{`{"AWS":"arn:aws:iam::111122223333:role/p/r"}`, session, policy.ThroughRole},
		{`{"AWS":"AROAEXAMPLEEXAMPLEEXA"}`, session, policy.ThroughRole},
		{`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s"}`, session, policy.Itself},
		{`{"AWS":["111122223333","arn:aws:sts::111122223333:assumed-role/r/s"]}`, session, policy.Itself},
		{`{"Federated":"` + provider + `"}`, federated, policy.Itself},
		{`{"Federated":"` + provider + `/"}`, federated, policy.NoGrant},
		{`{"Federated":"` + provider + `"}`, policy.Principal{ARN: provider, ID: provider, Account: "111122223333"}, policy.NoGrant},
		{`{"Federated":"accounts.google.com"}`, policy.Principal{Federated: "accounts.google.com"}, policy.Itself},
		{`{"Service":"ec2.amazonaws.com"}`, service, policy.Itself},
		{`{"Service":"ec2.amazonaws.com"}`, user, policy.NoGrant},
		{`{"AWS":"*"}`, policy.Principal{}, policy.NoGrant},
	} {
		d, err := policy.Parse(policy.Trust, trusting(c.named, ""))
		if err != nil {
			t.Fatal(err)
		}
		e := d.Evaluate(&policy.Request{Action: "sts:AssumeRole", Principal: c.who})
		if e.Grant != c.want || (e.Outcome == policy.Allowed) != (c.want != policy.NoGrant) {
			t.Errorf("%s: %+v is granted %q and %s, want %q", c.named, c.who, e.Grant, e.Outcome, c.want)
		}
	}
}

func TestNamesakeOfWhomThePolicyMeantIsNotTrusted(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/r"
	d, err := policy.Parse(policy.Trust, trusting(`{"AWS":"`+role+`"}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	bound := d.Bind(map[string]string{role: "AROAFIRSTFIRSTFIRST11"})
	for id, want := range map[string]policy.Outcome{"AROAFIRSTFIRSTFIRST11": policy.Allowed, "AROASECONDSECONDSEC22": policy.ImplicitDeny} {
		r := policy.Request{Action: "sts:AssumeRole", Principal: policy.Principal{
			ARN: "arn:aws:sts::111122223333:assumed-role/r/s", ID: id + ":s", Account: "111122223333", RoleARN: role, RoleID: id,
		}}
		if got := bound.Evaluate(&r).Outcome; got != want {
			t.Errorf("role with id %s: %s, want %s", id, got, want)
		}
		if got := d.Evaluate(&r).Outcome; got != policy.Allowed {
			t.Errorf("unbound, role with id %s: %s", id, got)
		}
	}
}

func TestEveryPartIsTracedWhateverFailsFirst(t *testing.T) {
	d, err := policy.Parse(policy.Trust, `{"Version":"2012-10-17","Statement":[
		{"Sid":"One","Effect":"Allow","Principal":{"Federated":"`+provider+`"},"Action":"sts:AssumeRole",
		 "Condition":{"StringEquals":{"oidc.example.com:sub":"x","oidc.example.com:aud":"y"}}},
		{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	r := policy.Request{Action: "sts:AssumeRoleWithWebIdentity", Principal: policy.Principal{Federated: provider + "/"}}
	r.Context.Set("oidc.example.com:aud", "y")
	e := d.Evaluate(&r)
	if e.Outcome != policy.ImplicitDeny || len(e.Statements) != 2 {
		t.Fatalf("%+v", e)
	}
	one, two := e.Statements[0], e.Statements[1]
	if one.Sid != "One" || one.Applies || one.Principal.Grant != "" || one.Action.Matched || len(one.Conditions) != 2 {
		t.Errorf("first statement: %+v", one)
	}
	if sub, aud := one.Conditions[0], one.Conditions[1]; sub.Present || sub.Matched || !aud.Present || !aud.Matched || fmt.Sprint(aud.Request, aud.Policy) != "[y] [y]" {
		t.Errorf("conditions: %+v", one.Conditions)
	}
	if two.Index != 1 || two.Applies || !two.Action.Matched || two.Principal.Request.Federated != provider+"/" {
		t.Errorf("second statement: %+v", two)
	}
}
