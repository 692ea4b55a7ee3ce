package policy_test

import (
	"errors"
	"fmt"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

const provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"

// trusting returns a trust policy of one statement with the principal, and more members.
func trusting(principal, more string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":%s,"Action":"sts:AssumeRole"%s}}`, principal, more)
}

// refused says how a document is refused; empty if it is taken.
func refused(t *testing.T, kind policy.Kind, text string) string {
	t.Helper()
	err := policy.Check(kind, text)
	if err == nil {
		return ""
	}
	var m *policy.Malformed
	if !errors.As(err, &m) {
		t.Fatalf("Check gives a %T, want a *Malformed: %v", err, err)
	}
	return m.Message
}

func TestTrustPolicyIsRefusedInTheWordsOfIAM(t *testing.T) {
	root := `{"AWS":"111122223333"}`
	for _, c := range []struct{ text, want string }{
		{`not json`, "This policy contains invalid Json"},
		{``, "This policy contains invalid Json"},
		{`[]`, "This policy contains invalid Json"},
		{`{"Version":"2012-10-17",}`, "This policy contains invalid Json"},
		{`{"Version":"2012-10-17","Version":"2012-10-17"}`, "This policy contains invalid Json"},
		{`{"Statement":[],"Statement":[]}`, "This policy contains invalid Json"},
		{`{"statement":[]}`, "Unknown field statement"},
		{`{"probe":"x"}`, "Unknown field probe"},
		{`{"Version":"2020-01-01","Statement":[]}`, "The policy must contain a valid version string"},
		{`{"Version":null,"Statement":[]}`, "The policy must contain a valid version string"},
		{`{"Version":"2012-10-17"}`, "Could not parse the policy: Statement is empty!"},
		{`{"Version":"2012-10-17","Statement":[]}`, "Could not parse the policy: Statement is empty!"},
		{`{"Statement":[{"Sid":"A"},{"Sid":"A"}]}`, "The Statement Ids in the policy are not unique"},
		{`{"Statement":{"Sid":"A","Comment":"x"}}`, "Unknown field Comment"},
		{`{"Statement":{"Principal":` + root + `}}`, "Missing required field Effect"},
		{`{"Statement":{"Effect":"Maybe"}}`, "Invalid effect: Maybe"},
		{`{"Statement":{"Effect":"allow"}}`, "Invalid effect: allow"},
		{`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`, "Missing required field Principal"},
		{trusting(`{}`, ``), "Missing required field Principal cannot be empty!"},
		{trusting(`{"AWS":[]}`, ``), "Missing required field Principal cannot be empty!"},
		{trusting(`"*"`, ``), "Principal must be a JSON object."},
		{`{"Statement":{"Effect":"Allow","NotPrincipal":` + root + `}}`, "Allow with NotPrincipal is not allowed."},
		{`{"Statement":{"Effect":"Deny","NotPrincipal":` + root + `}}`, "AssumeRole policy must not contain NotPrincipal field."},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `}}`, "Missing required field Action"},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `,"Action":[]}}`, "Missing required field Action"},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `,"Action":"s3:GetObject"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `,"Action":"sts:*"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `,"Action":"*"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{`{"Statement":{"Effect":"Allow","Principal":` + root + `,"Action":"STS:assumerolewithwebidentity"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{`{"Statement":{"Effect":"Deny","Principal":` + root + `,"NotAction":"s3:GetObject"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{trusting(root, `,"Resource":"*"`), "Has prohibited field Resource"},
		{trusting(root, `,"NotResource":"*"`), "AssumeRole policy must not contain resources."},
		{trusting(root, `,"Condition":{"oidc.example.com:sub":{"x":"y"}}`), "Invalid condition prefix"},
		{trusting(root, `,"Condition":{"StringSame":{"x":"y"}}`), "Syntax error in policy."},
		{trusting(root, `,"Condition":{"NumericEquals":{"x":"y"}}`), "Syntax error in policy."},
		{trusting(root, `,"Condition":{"StringEquals":{"x":null}}`), "Syntax error in policy."},
		{trusting(`{"Federated":"*"}`, ``), "Federated principals must be valid domain names or SAML metadata ARNs"},
		{trusting(`{"Federated":"arn:aws:iam::1111222233:oidc-provider/x"}`, ``), "Federated principals must be valid domain names or SAML metadata ARNs"},
		{trusting(`{"Federated":"arn:aws:iam::111122223333:user/x"}`, ``), "Federated principals must be valid domain names or SAML metadata ARNs"},
		{trusting(`{"AWS":"arn:aws:iam::12345678910:role/Orchestration_Role"}`, ``), `Invalid principal in policy: "AWS":"arn:aws:iam::12345678910:role/Orchestration_Role"`},
		{trusting(`{"AWS":"arn:aws:iam::111122223333:role/a*"}`, ``), `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/a*"`},
		{trusting(`{"Service":"x"}`, ``), `Invalid principal in policy: "SERVICE":"x"`},
		{trusting(`{"CanonicalUser":"x"}`, ``), `Invalid principal in policy: "CANONICALUSER":"x"`},
	} {
		if got := refused(t, policy.Trust, c.text); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestTrustPoliciesThatIAMTakes(t *testing.T) {
	for _, text := range []string{
		trusting(`{"AWS":"*"}`, ``),
		trusting(`{"AWS":["111122223333","arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/a/b","AROAEXAMPLEEXAMPLEEX1"]}`, ``),
		trusting(`{"AWS":"arn:aws:sts::111122223333:assumed-role/r/s","Service":"ec2.amazonaws.com","Federated":"idp.example.com"}`, ``),
		trusting(`{"Federated":"`+provider+`"}`, `,"Sid":"with blanks","Condition":{}`),
		trusting(`{"Federated":"arn:aws:iam::111122223333:saml-provider/x"}`, `,"Condition":{"Bool":{"x":true},"NumericLessThan":{"y":[1,2.5]}}`),
		`{"Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"NotAction":["sts:AssumeRole","sts:TagSession"]}],"Id":"x"}`,
		`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:SetSourceIdentity"}]}`,
	} {
		if got := refused(t, policy.Trust, text); got != "" {
			t.Errorf("%s\nis refused: %s", text, got)
		}
	}
}

func TestPrincipalsOfAPolicyAreListedOnce(t *testing.T) {
	d, err := policy.Parse(policy.Trust, `{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":["111122223333","111122223333"]},"Action":"sts:AssumeRole"},
		{"Effect":"Deny","Principal":{"AWS":"111122223333","Federated":"accounts.google.com"},"Action":"sts:AssumeRole"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.Principals()); got != "[{AWS 111122223333} {Federated accounts.google.com}]" {
		t.Errorf("principals are %s", got)
	}
}
