package sts_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/sigv4/sigv4test"
)

// trustingAWS returns a trust policy for a principal of AWS.
func trustingAWS(principal, conditions string, actions ...string) string {
	actions = append([]string{"sts:AssumeRole"}, actions...)
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["` + strings.Join(actions, `","`) + `"],"Condition":` + conditions + `}]}`
}

func (w *world) chain(with *sigv4test.Credentials, role string, change ...func(url.Values)) answer {
	w.t.Helper()
	form := url.Values{"RoleArn": {"arn:aws:iam::" + account + ":role/" + role}, "RoleSessionName": {"chained"}}
	for _, f := range change {
		f(form)
	}
	return w.call("AssumeRole", form, with)
}

func set(pairs ...string) func(url.Values) {
	return func(v url.Values) {
		for n := 0; n+1 < len(pairs); n += 2 {
			v.Set(pairs[n], pairs[n+1])
		}
	}
}

func TestAnAdministratorAssumesRolesThatTrustIt(t *testing.T) {
	w := newWorld(t)
	admin, stranger := w.administrator(account), w.administrator(other)
	w.role(iam.Role{Name: "mine", TrustPolicy: trustingAWS("arn:aws:iam::"+account+":root", `{}`)})
	w.role(iam.Role{Name: "theirs", Path: "/p/", TrustPolicy: trustingAWS(other, `{"StringEquals":{"sts:ExternalId":"x1"}}`)})
	w.role(iam.Role{Name: "web", TrustPolicy: trusting(providerARN(host), `{}`)})
	a := w.chain(&admin, "mine")
	if a.status != 200 || a.Role.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/mine/chained" || strings.Contains(a.body, "PackedPolicySize") {
		t.Fatal(a.body)
	}
	denied := func(a answer, who, action, role, suffix string) {
		t.Helper()
		a.want(t, 403, "AccessDenied", "User: "+who+" is not authorized to perform: "+action+" on resource: arn:aws:iam::"+account+":role/"+role+suffix)
	}
	user := "arn:aws:iam::" + account + ":user/admin"
	denied(w.chain(&admin, "web"), user, "sts:AssumeRole", "web", "")
	denied(w.chain(&admin, "none"), user, "sts:AssumeRole", "none", "")
	denied(w.chain(&stranger, "mine"), "arn:aws:iam::"+other+":user/admin", "sts:AssumeRole", "mine", "")
	denied(w.chain(&stranger, "p/theirs"), "arn:aws:iam::"+other+":user/admin", "sts:AssumeRole", "p/theirs", "")
	denied(w.chain(&stranger, "p/theirs", set("ExternalId", "x2")), "arn:aws:iam::"+other+":user/admin", "sts:AssumeRole", "p/theirs", "")
	if a := w.chain(&stranger, "p/theirs", set("ExternalId", "x1")); a.status != 200 || a.Role.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/theirs/chained" {
		t.Error(a.body)
	}
	w.chain(nil, "mine").want(t, 403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	w.chain(&admin, "mine", set("RoleArn", "arn:aws:iam::1:role/too-short")).want(t, 400, "ValidationError", "arn:aws:iam::1:role/too-short is invalid")
	w.chain(&admin, "mine", set("DurationSeconds", "3601")).want(t, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
}

func TestChainsOfRoles(t *testing.T) {
	w := newWorld(t)
	admin := w.administrator(account)
	w.role(iam.Role{Name: "first", MaxSessionDuration: 12 * time.Hour, TrustPolicy: trustingAWS(account, `{}`, "sts:TagSession", "sts:SetSourceIdentity")})
	first := "arn:aws:iam::" + account + ":role/first"
	w.role(iam.Role{Name: "second", MaxSessionDuration: 12 * time.Hour, TrustPolicy: trustingAWS(first, `{}`, "sts:TagSession", "sts:SetSourceIdentity")})
	w.role(iam.Role{Name: "untagged", TrustPolicy: trustingAWS(first, `{}`)})
	w.role(iam.Role{Name: "account", TrustPolicy: trustingAWS(account, `{}`)})
	w.role(iam.Role{Name: "tagged", TrustPolicy: trustingAWS(first, `{"StringEquals":{"aws:PrincipalTag/team":"a"}}`, "sts:TagSession")})
	a := w.chain(&admin, "first", set("DurationSeconds", "43200"))
	if a.status != 200 {
		t.Fatal(a.body)
	}
	plain := a.Role.credentials()
	session := "arn:aws:sts::" + account + ":assumed-role/first/chained"
	w.chain(&plain, "second", set("DurationSeconds", "3600")).want(t, 200, "", "")
	w.chain(&plain, "second", set("DurationSeconds", "3601")).want(t, 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	w.chain(&plain, "account").want(t, 403, "AccessDenied", "User: "+session+" is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"+account+":role/account because no identity-based policy allows the sts:AssumeRole action")
	w.chain(&plain, "tagged").want(t, 403, "AccessDenied", "User: "+session+" is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"+account+":role/tagged")

	tags := set("Tags.member.1.Key", "team", "Tags.member.1.Value", "a", "Tags.member.2.Key", "cost", "Tags.member.2.Value", "b", "TransitiveTagKeys.member.1", "Team", "SourceIdentity", "me")
	a = w.chain(&admin, "first", tags)
	if a.status != 200 || a.Role.SourceIdentity != "me" || a.Role.PackedPolicySize == "" {
		t.Fatal(a.body)
	}
	tagged := a.Role.credentials()
	w.chain(&tagged, "untagged").want(t, 403, "AccessDenied", "User: "+session+" is not authorized to perform: sts:TagSession on resource: arn:aws:iam::"+account+":role/untagged")
	a = w.chain(&tagged, "second")
	if a.status != 200 || a.Role.SourceIdentity != "me" {
		t.Errorf("the source identity does not pass on: %s", a.body)
	}
	w.chain(&tagged, "second", set("SourceIdentity", "somebody")).want(t, 403, "AccessDenied", "User: "+session+" is not authorized to perform: sts:SetSourceIdentity on resource: arn:aws:iam::"+account+":role/second")
	const conflict = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."
	w.chain(&tagged, "second", set("Tags.member.1.Key", "TEAM", "Tags.member.1.Value", "z")).want(t, 400, "InvalidParameterValue", conflict)
	w.chain(&tagged, "second", set("Tags.member.1.Key", "cost", "Tags.member.1.Value", "z")).want(t, 200, "", "")

	w.chain(&admin, "first", set("Tags.member.1.Key", "a", "Tags.member.1.Value", "", "Tags.member.2.Key", "A", "Tags.member.2.Value", "")).
		want(t, 400, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
	w.chain(&admin, "first", set("TransitiveTagKeys.member.1", "x")).
		want(t, 400, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
	w.chain(&admin, "first", set("Tags.member.1.Key", "", "Tags.member.1.Value", "")).
		want(t, 400, "ValidationError", `2 validation errors detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; Value at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	w.chain(&admin, "first", set("TokenCode", "123456", "SerialNumber", "arn:aws:iam::1:mfa/x")).
		want(t, 403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
}

func TestTooManyTagsAreTooLarge(t *testing.T) {
	w := newWorld(t)
	admin := w.administrator(account)
	w.role(iam.Role{Name: "first", TrustPolicy: trustingAWS(account, `{}`, "sts:TagSession")})
	a := w.chain(&admin, "first", func(v url.Values) {
		for n := range 9 {
			v.Set("Tags.member."+itoa(int64(n+1))+".Key", "key"+itoa(int64(n)))
			v.Set("Tags.member."+itoa(int64(n+1))+".Value", noise(n))
		}
	})
	if a.status != 400 || a.Code != "PackedPolicyTooLarge" || !strings.HasPrefix(a.Message, "Packed size of session tags consumes ") || !strings.HasSuffix(a.Message, "% of allotted space.") {
		t.Error(a.body)
	}
}

// noise is a text of 250 characters that hardly packs.
func noise(n int) string {
	var b strings.Builder
	x := uint32(n + 1)
	for b.Len() < 250 {
		x = x*1664525 + 1013904223
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."[x>>26])
	}
	return b.String()
}

func TestARoleThatIsMadeAgainIsAnother(t *testing.T) {
	w := newWorld(t)
	admin := w.administrator(account)
	w.role(iam.Role{Name: "first", TrustPolicy: trustingAWS(account, `{}`)})
	a := w.chain(&admin, "first")
	c := a.Role.credentials()
	w.call("GetCallerIdentity", nil, &c).want(t, 200, "", "")
	must(t, w.iam.DeleteRole(t.Context(), account, "first", func(*iam.Role) error { return nil }))
	w.call("GetCallerIdentity", nil, &c).want(t, 403, "InvalidClientTokenId", "The security token included in the request is invalid")
	w.role(iam.Role{Name: "first", TrustPolicy: trustingAWS(account, `{}`)})
	w.call("GetCallerIdentity", nil, &c).want(t, 403, "InvalidClientTokenId", "The security token included in the request is invalid")
}

func TestWhoseAKeyIs(t *testing.T) {
	w := newWorld(t)
	admin := w.administrator(account)
	if a := w.call("GetCallerIdentity", nil, &admin); a.Caller.Arn != "arn:aws:iam::"+account+":user/admin" || a.Caller.UserId != "AIDAEXAMPLE" || a.Caller.Account != account {
		t.Error(a.body)
	}
	if a := w.call("GetAccessKeyInfo", url.Values{"AccessKeyId": {iam.NewKeyID("ASIA", other)}}, &admin); a.Account != other {
		t.Error(a.body)
	}
	w.call("GetAccessKeyInfo", url.Values{"AccessKeyId": {"short"}}, &admin).want(t, 400, "ValidationError", "1 validation error detected: Value 'short' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16")
	w.call("GetAccessKeyInfo", nil, nil).want(t, 403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	w.call("GetSessionToken", nil, &admin).want(t, 400, "InvalidAction", "Could not find operation GetSessionToken for version 2011-06-15")
	wrong := admin
	wrong.Secret = "x"
	w.call("GetCallerIdentity", nil, &wrong).want(t, 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}
