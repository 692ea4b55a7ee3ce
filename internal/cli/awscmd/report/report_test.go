package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/cli/awscmd/report"
	"laterna.dev/laterna/internal/cli/paint"
)

func record(t *testing.T) *explain.Record {
	t.Helper()
	d, err := policy.Parse(policy.Trust, `{"Version":"2012-10-17","Statement":[{"Sid":"One","Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/i"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"i:sub":"a","i:amr":"x"}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	var keys policy.Context
	keys.Set("i:sub", "b\x1b[2J")
	decision := policy.Decide(&policy.Request{
		Action: "sts:AssumeRoleWithWebIdentity", Resource: "arn:aws:iam::111122223333:role/r", Context: keys,
		Principal: policy.Principal{Federated: "arn:aws:iam::111122223333:oidc-provider/i"},
	}, &policy.Policies{Trust: &policy.Source{Name: "arn:aws:iam::111122223333:role/r", Document: d}})
	text, err := json.Marshal([]policy.Decision{decision})
	if err != nil {
		t.Fatal(err)
	}
	return &explain.Record{
		RequestID: "id-1", Action: "AssumeRoleWithWebIdentity", Time: time.Unix(0, 0).UTC(), Host: "sts.amazonaws.com", Path: "/", Region: "us-east-1",
		Source: "10.0.0.1", Agent: "cli\x1b]0;x\a", Role: "arn:aws:iam::111122223333:role/r", Code: "AccessDenied", Message: "Not authorized", Status: 403,
		Token:    &explain.Token{Issuer: "https://i", Subject: "b\x1b[2J", Audiences: []string{"sts.amazonaws.com"}, Claims: []string{"iss"}},
		Checks:   []explain.Check{{Name: "claims", Verdict: explain.Yes}, {Name: "signature", Verdict: explain.Skipped, Why: "in vain"}, {Name: "policy", Verdict: explain.No, Why: "it says no", Got: "a", Want: "b", Hints: []string{"do this"}}},
		Decision: text,
	}
}

func TestACallIsToldCheckByCheck(t *testing.T) {
	var b bytes.Buffer
	if err := report.Print(&b, paint.Paint{}, record(t)); err != nil {
		t.Fatal(err)
	}
	want := `Call         AssumeRoleWithWebIdentity
Answer       AccessDenied (403): Not authorized
Request      id-1
Time         1970-01-01T00:00:00Z
To           sts.amazonaws.com/, region us-east-1
From         10.0.0.1 "cli\x1b]0;x\a"
Role         arn:aws:iam::111122223333:role/r
Token        issuer https://i
             subject "b\x1b[2J"
             audience sts.amazonaws.com
             claims iss

yes  claims
 -   signature    in vain
NO   policy       it says no
                  got   a
                  want  b
                  try   do this

The trust policy of arn:aws:iam::111122223333:role/r, asked for sts:AssumeRoleWithWebIdentity:
  statement 1 One (Allow)
    yes  Principal
         policy  Federated arn:aws:iam::111122223333:oidc-provider/i
         call    arn:aws:iam::111122223333:oidc-provider/i
    yes  Action
         sts:AssumeRoleWithWebIdentity
    NO   StringEquals i:sub
         policy  a
         call    "b\x1b[2J"
    NO   StringEquals i:amr
         policy  x
         call    nothing
`
	got := b.String()
	lines := strings.Split(got, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestCallsAreListed(t *testing.T) {
	var b bytes.Buffer
	text, err := json.Marshal(record(t))
	if err != nil {
		t.Fatal(err)
	}
	ok, err := json.Marshal(explain.Record{RequestID: "id-2", Action: "GetCallerIdentity", Status: 200})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.List(&b, explain.Records{Records: []json.RawMessage{ok, text}}); err != nil {
		t.Fatal(err)
	}
	want := `TIME                  REQUEST  ACTION                     ANSWER        SAID NO
0001-01-01T00:00:00Z  id-2     GetCallerIdentity          OK            
1970-01-01T00:00:00Z  id-1     AssumeRoleWithWebIdentity  AccessDenied  policy
`
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := report.List(&b, explain.Records{}); err != nil || !strings.HasPrefix(b.String(), "Nobody has called") {
		t.Errorf("%v %s", err, b.String())
	}
}
