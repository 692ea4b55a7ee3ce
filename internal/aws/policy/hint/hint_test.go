package hint_test

import (
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
	"laterna.dev/laterna/internal/aws/policy/hint"
)

const (
	issuer   = "oidc.example.com/id/ABC"
	provider = "arn:aws:iam::111122223333:oidc-provider/" + issuer
	role     = "arn:aws:iam::111122223333:role/my-role"
	me       = "system:serviceaccount:default:my-service-account"
)

// denied returns the hints for a pod whose role has the statement.
func denied(t *testing.T, action, statement string) []hint.Hint {
	t.Helper()
	r := policy.Request{Action: action, Resource: role, Principal: policy.Principal{Federated: provider}}
	r.Context.Set(issuer+":sub", me)
	r.Context.Set(issuer+":aud", "sts.amazonaws.com")
	r.Context.SetAll(issuer+":amr", []string{"pwd"})
	r.Context.Set("sts:RoleSessionName", "s")
	return hints(t, &r, statement)
}

func hints(t *testing.T, r *policy.Request, statements string) []hint.Hint {
	t.Helper()
	d, err := policy.Parse(policy.Trust, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
	if err != nil {
		t.Fatalf("%v: %s", err, statements)
	}
	decision := policy.Decide(r, &policy.Policies{Trust: &policy.Source{Name: "trust", Document: d}})
	return hint.Of(&decision)
}

func allow(principal, action, condition string) string {
	return fmt.Sprintf(`{"Sid":"One","Effect":"Allow","Principal":%s,"Action":%q,"Condition":%s}`, principal, action, condition)
}

func TestEachMistakeHasItsHint(t *testing.T) {
	federated := func(s string) string { return `{"Federated":"` + s + `"}` }
	one := func(operator, key, value string) string { return fmt.Sprintf(`{%q:{%q:%q}}`, operator, key, value) }
	const web = "sts:AssumeRoleWithWebIdentity"
	good := federated(provider)
	for _, c := range []struct {
		principal, action, condition string
		want                         hint.Code
		says                         string
	}{
		{federated("arn:aws:iam::444455556666:oidc-provider/" + issuer), web, `{}`, hint.ProviderAccount, "444455556666"},
		{federated(provider + "/"), web, `{}`, hint.ProviderSlash, "trailing slash"},
		{federated(strings.Replace(provider, "/ABC", "/abc", 1)), web, `{}`, hint.ProviderCase, "letter case"},
		{federated("arn:aws:iam::111122223333:oidc-provider/https://" + issuer), web, `{}`, hint.ProviderScheme, "https://"},
		{federated("oidc.example.com"), web, `{}`, hint.ProviderDiffers, provider},
		{federated("arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/XYZ"), web, `{}`, hint.ProviderDiffers, "id/XYZ"},
		{`{"AWS":"*"}`, web, `{}`, hint.StarNoWeb, `"Federated": "` + provider + `"`},
		{`{"Service":"ec2.amazonaws.com"}`, web, `{}`, hint.ProviderDiffers, provider},
		{good, "sts:AssumeRole", `{}`, hint.ActionDiffers, "the call is sts:AssumeRoleWithWebIdentity"},

		{good, web, one("StringEquals", provider+":sub", me), hint.KeyARN, issuer + ":sub"},
		{good, web, one("StringEquals", "https://"+issuer+":sub", me), hint.KeyScheme, issuer + ":sub"},
		{good, web, one("StringEquals", issuer+"/:sub", me), hint.KeySlash, issuer + ":sub"},
		{good, web, one("StringEquals", "oidc.example.com:sub", me), hint.KeyPath, issuer + ":sub"},
		{good, web, one("StringEquals", "sub", me), hint.KeyBare, issuer + ":sub"},
		{good, web, one("StringEquals", issuer+":namespace", "default"), hint.KeyClaim, "sub, aud, oaud, amr and email"},
		{good, web, one("StringEquals", "oidc.other.com/id/DEF:sub", me), hint.KeyIssuer, "another issuer"},
		{good, web, one("StringEquals", "aws:PrincipalTag/x", "y"), hint.KeyAbsent, issuer + ":sub"},
		{good, web, one("Null", "aws:PrincipalTag/x", "false"), hint.KeyAbsent, "be present"},
		{good, web, one("Null", issuer+":sub", "true"), hint.ValueExcluded, "absent"},
		{good, web, one("StringEquals", issuer+":amr", "pwd"), hint.KeyMultivalued, "ForAnyValue:StringEquals"},

		{good, web, one("StringEquals", issuer+":sub", "system:serviceaccount:default:*"), hint.LiteralWildcard, "write StringLike"},
		{good, web, one("ForAnyValue:StringEqualsIgnoreCase", issuer+":sub", "system:serviceaccount:default:*"), hint.LiteralWildcard, "write ForAnyValue:StringLike"},
		{good, web, one("StringEquals", issuer+":sub", strings.ToUpper(me)), hint.ValueCase, "letter case"},
		{good, web, one("StringLike", issuer+":sub", "System:ServiceAccount:*"), hint.ValueCase, "letter case"},
		{good, web, one("StringEquals", issuer+":aud", "sts.amazonaws.com/"), hint.ValueSlash, "trailing slash"},
		{good, web, one("StringEquals", issuer+":sub", me+" "), hint.ValueBlank, "blanks"},
		{good, web, one("StringEquals", issuer+":sub", "sts.amazonaws.com"), hint.AudienceInSub, issuer + ":aud"},
		{good, web, one("StringEquals", issuer+":aud", me), hint.SubInAudience, issuer + ":sub"},
		{good, web, one("StringLike", issuer+":aud", "system:serviceaccount:x:*"), hint.SubInAudience, issuer + ":sub"},
		{good, web, one("StringEquals", issuer+":aud", "sts.amazon.com"), hint.ValueNear, "sts.amazonaws.com"},
		{good, web, one("StringEquals", issuer+":sub", "system:serviceaccount:prod:my-service-account"), hint.ServiceAccount, "another namespace"},
		{good, web, one("StringEquals", issuer+":sub", "system:serviceaccount:default:another"), hint.ServiceAccount, `"default/another"`},
		{good, web, one("StringEquals", issuer+":sub", "default:my-service-account"), hint.SubPrefix, me},
		{good, web, one("StringNotEquals", issuer+":sub", me), hint.ValueExcluded, "excludes"},
		{good, web, one("StringEquals", issuer+":sub", "${aws:username}"), hint.VariableAbsent, "${aws:username, 'value'}"},
		{good, web, one("StringEquals", issuer+":sub", "repo:me/x"), hint.ValueDiffers, me},
		{good, web, one("NumericEquals", "sts:RoleSessionName", "1"), hint.ValueDiffers, `"s"`},
		{good, web, one("ArnLike", "sts:RoleSessionName", "arn:aws:iam::*:role/x"), hint.ValueDiffers, `"s"`},
	} {
		got := denied(t, web, allow(c.principal, c.action, c.condition))
		if len(got) != 1 || got[0].Code != c.want || !strings.Contains(got[0].Text, c.says) {
			t.Errorf("%s %s %s\n gives %+v\n want %s with %q", c.principal, c.action, c.condition, got, c.want, c.says)
			continue
		}
		if h := got[0]; h.Layer != policy.TrustLayer || h.Source != "trust" || h.Sid != "One" || !strings.HasSuffix(h.Text, ".") {
			t.Errorf("%+v does not say where it is", h)
		}
	}
}

func TestFurtherActionsOfACall(t *testing.T) {
	text := allow(`{"Federated":"`+provider+`"}`, "sts:AssumeRoleWithWebIdentity", `{}`)
	for action, want := range map[string]hint.Code{"sts:TagSession": hint.TagSession, "sts:SetSourceIdentity": hint.SourceIdentity} {
		if got := denied(t, action, text); len(got) != 1 || got[0].Code != want || !strings.Contains(got[0].Text, action) {
			t.Errorf("%s gives %+v", action, got)
		}
	}
}

func TestCallerThatIsNotNamed(t *testing.T) {
	who := policy.Principal{
		ARN: "arn:aws:sts::111122223333:assumed-role/r/s", ID: "AROAEXAMPLEEXAMPLEEXA:s", Account: "111122223333",
		RoleARN: "arn:aws:iam::111122223333:role/p/r", RoleID: "AROAEXAMPLEEXAMPLEEXA",
	}
	for _, c := range []struct {
		named, resource string
		want            hint.Code
	}{
		{"arn:aws:iam::111122223333:role/r", role, hint.RolePath},
		{"arn:aws:iam::111122223333:role/p/R", role, hint.PrincipalCase},
		{"AROAANOTHERANOTHERAN1", role, hint.PrincipalGone},
		{"arn:aws:iam::111122223333:role/other", role, hint.PrincipalDiffers},
		{"arn:aws:iam::111122223333:role/other", who.RoleARN, hint.SelfAssume},
	} {
		r := policy.Request{Action: "sts:AssumeRole", Resource: c.resource, Principal: who}
		got := hints(t, &r, allow(`{"AWS":"`+c.named+`"}`, "sts:AssumeRole", `{}`))
		if len(got) != 1 || got[0].Code != c.want {
			t.Errorf("%s gives %+v, want %s", c.named, got, c.want)
		}
	}
}

func TestNearestStatementComesFirst(t *testing.T) {
	const web = "sts:AssumeRoleWithWebIdentity"
	others := allow(`{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.other.com"}`, web, `{}`)
	far := strings.Replace(allow(`{"Federated":"`+provider+`"}`, web, `{"StringEquals":{"`+issuer+`:sub":"x","`+issuer+`:aud":"y"}}`), "One", "Far", 1)
	near := strings.Replace(allow(`{"Federated":"`+provider+`"}`, web, `{"StringEquals":{"`+issuer+`:sub":"x"}}`), "One", "Near", 1)
	got := denied(t, web, others+","+far+","+near)
	var order []string
	for _, h := range got {
		order = append(order, h.Sid)
	}
	if fmt.Sprint(order) != "[Near Far Far One]" || got[0].Statement != 2 {
		t.Errorf("hints come in order %v: %+v", order, got)
	}
}

func TestADenyIsNamedAlone(t *testing.T) {
	const web = "sts:AssumeRoleWithWebIdentity"
	good := allow(`{"Federated":"`+provider+`"}`, web, `{}`)
	bad := strings.Replace(allow(`{"Federated":"`+provider+`"}`, web, `{"StringLike":{"`+issuer+`:sub":"*"}}`), `"Allow"`, `"Deny"`, 1)
	got := denied(t, web, good+","+strings.Replace(bad, "One", "Two", 1))
	if len(got) != 1 || got[0].Code != hint.Denied || got[0].Sid != "Two" || !strings.Contains(got[0].Text, issuer+":sub") {
		t.Errorf("%+v", got)
	}
	if got := denied(t, web, good); len(got) != 0 {
		t.Errorf("what is allowed has hints: %+v", got)
	}
}

func TestIdentityPolicyOfAnotherResource(t *testing.T) {
	d, err := policy.Parse(policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws:iam::111122223333:role/x"}}`)
	if err != nil {
		t.Fatal(err)
	}
	decision := policy.Decide(&policy.Request{Action: "iam:GetRole", Resource: role}, &policy.Policies{Identity: []policy.Source{{Name: "inline", Document: d}}})
	got := hint.Of(&decision)
	if len(got) != 1 || got[0].Code != hint.ResourceDiffers || got[0].Source != "inline" || !strings.Contains(got[0].Text, role) {
		t.Errorf("%+v", got)
	}
}

func TestNearest(t *testing.T) {
	if got, ok := hint.Nearest("oidc.example.com/a", []string{"x", "oidc.example.com/b", "oidc.example.com/a/"}); !ok || got != "oidc.example.com/b" {
		t.Errorf("nearest is %q, %v", got, ok)
	}
	if _, ok := hint.Nearest("x", nil); ok {
		t.Error("there is a nearest of none")
	}
}

func FuzzHints(f *testing.F) {
	f.Add(allow(`{"Federated":"`+provider+`"}`, "sts:AssumeRole", `{"StringEquals":{"a.b:sub":"${x}*"}}`), issuer, "v")
	f.Add(allow(`{"AWS":["AROAEXAMPLEEXAMPLEEXA","111122223333"]}`, "sts:TagSession", `{"Null":{"k":"true"},"ArnLike":{"k":"arn:a:b:c:d:e"}}`), "k", "arn:")
	f.Fuzz(func(t *testing.T, statement, key, value string) {
		d, err := policy.Parse(policy.Trust, `{"Version":"2012-10-17","Statement":[`+statement+`]}`)
		if err != nil {
			return
		}
		for _, who := range []policy.Principal{{Federated: value}, {ARN: value, RoleARN: key, Account: "444455556666"}} {
			r := policy.Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: role, Principal: who}
			r.Context.Set(key, value)
			r.Context.Set(key+":sub", value)
			decision := policy.Decide(&r, &policy.Policies{Trust: &policy.Source{Document: d}})
			if got := hint.Of(&decision); decision.Allowed() && len(got) > 0 {
				t.Errorf("what is allowed has hints: %+v", got)
			}
		}
	})
}
