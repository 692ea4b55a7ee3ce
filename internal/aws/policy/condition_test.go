package policy_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// under evaluates a statement with one condition on key aws:Key, whose values in the request
// are given; nil means that the key is absent. Of several values it is multivalued.
func under(t *testing.T, effect policy.Effect, operator string, policyValues any, has []string) policy.Evaluation {
	t.Helper()
	values, err := json.Marshal(policyValues)
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Parse(policy.Session, fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":"*","Resource":"*","Condition":{%q:{"AWS:key":%s}}}}`, effect, operator, values))
	if err != nil {
		t.Fatal(err)
	}
	r := policy.Request{Action: "s3:GetObject", Resource: "*"}
	switch {
	case len(has) == 1:
		r.Context.Set("aws:Key", has[0])
	case has != nil:
		r.Context.SetAll("aws:Key", has)
	}
	return d.Evaluate(&r)
}

func TestConditionOperators(t *testing.T) {
	one := func(s string) []string { return []string{s} }
	two := []string{"prod", "dev"}
	for _, c := range []struct {
		operator string
		policy   any
		request  []string
		want     bool
	}{
		{"StringEquals", "prod", one("prod"), true},
		{"StringEquals", "prod", one("Prod"), false},
		{"StringEquals", "prod*", one("production"), false},
		{"StringEquals", "prod*", one("prod*"), true},
		{"StringEquals", two, one("dev"), true},
		{"StringEquals", "", one(""), true},
		{"StringEquals", "prod", nil, false},
		{"StringNotEquals", "prod", one("dev"), true},
		{"StringNotEquals", two, one("dev"), false},
		{"StringNotEquals", two, one("x"), true},
		{"StringNotEquals", "prod", nil, true},
		{"StringEqualsIfExists", "prod", nil, true},
		{"StringEqualsIfExists", "prod", one(""), false},
		{"StringNotEqualsIfExists", "prod", nil, true},
		{"StringNotEqualsIfExists", "prod", one("prod"), false},
		{"StringEqualsIgnoreCase", "prod", one("PrOd"), true},
		{"StringEqualsIgnoreCase", "K", one("\u212a"), true},
		{"StringEqualsIgnoreCase", "ß", one("\u1e9e"), true},
		{"StringEqualsIgnoreCase", "ß", one("SS"), false},
		{"StringEqualsIgnoreCase", "i", one("İ"), false},
		{"StringEqualsIgnoreCase", "İ", one("i\u0307"), true},
		{"StringEqualsIgnoreCase", "I", one("ı"), false},
		{"StringEqualsIgnoreCase", "s", one("ſ"), false},
		{"StringEqualsIgnoreCase", "Σ", one("σ"), true},
		{"StringEqualsIgnoreCase", "Σ", one("ς"), false},
		{"StringEqualsIgnoreCase", "ΟΣ", one("ος"), true},
		{"StringEqualsIgnoreCase", "ΟΣ", one("οσ"), false},
		{"StringEqualsIgnoreCase", "ΟΣΑ", one("οσα"), true},
		{"StringEqualsIgnoreCase", "1Σ", one("1σ"), true},
		{"StringEqualsIgnoreCase", "Ο'Σ'", one("ο'ς'"), true},
		{"StringEqualsIgnoreCase", "É", one("é"), true},
		{"StringEqualsIgnoreCase", "É", one("e\u0301"), false},
		{"StringEqualsIgnoreCase", "\U00010400", one("\U00010428"), false},
		{"StringNotEqualsIgnoreCase", "prod", one("PROD"), false},
		{"StringLike", "team-?/*", one("team-a/x:y/z"), true},
		{"StringLike", "system:serviceaccount:*:x", one("system:serviceaccount:a:b:x"), true},
		{"StringLike", "prod", one("production"), false},
		{"StringLike", "a?c", one("a\U00010400c"), false},
		{"StringLike", "a??c", one("a\U00010400c"), true},
		{"StringLike", "a?c", one("aéc"), true},
		{"StringLike", "a\U00010400*", one("a\U00010400b"), true},
		{"StringLike", "[a]*", one("a"), false},
		{"StringLike", "*", one(""), true},
		{"StringLike", "?", one(""), false},
		{"StringNotLike", []string{"dev*", "prod*"}, one("production"), false},
		{"StringNotLike", []string{"dev*", "prod*"}, one("staging"), true},

		{"NumericEquals", "1", one("01"), true},
		{"NumericEquals", "1", one("+1"), true},
		{"NumericEquals", 1, one("1.0"), true},
		{"NumericEquals", "1", one("1e0"), true},
		{"NumericEquals", "100", one("1E+2"), true},
		{"NumericEquals", "0", one("-0.0"), true},
		{"NumericEquals", "0.001", one("1e-3"), true},
		{"NumericEquals", "9007199254740993", one("9007199254740992"), false},
		{"NumericEquals", "1", one("NaN"), false},
		{"NumericEquals", "1", one(""), false},
		{"NumericEquals", "1", one("Infinity"), false},
		{"NumericEquals", "NaN", one("1"), false},
		{"NumericNotEquals", "1", one("no-number"), true},
		{"NumericNotEquals", "1", one("1.00"), false},
		{"NumericNotEquals", "NaN", one("1"), true},
		{"NumericLessThan", "10", one("9.99"), true},
		{"NumericLessThan", "10", one("10"), false},
		{"NumericLessThan", "-1", one("-10"), true},
		{"NumericLessThan", "1e999999999", one("1"), true},
		{"NumericLessThanEquals", "10", one("10"), true},
		{"NumericGreaterThan", "-1", one("0"), true},
		{"NumericGreaterThan", "10", one("x"), false},
		{"NumericGreaterThanEquals", "10", one("9"), false},

		{"DateEquals", "2030-01-01T00:00:00Z", one("1893456000"), true},
		{"DateEquals", "2030-01-01T00:00:00Z", one("2030-01-01"), true},
		{"DateEquals", "2030-01-01T00:00:00Z", one("2030-01-01T01:00:00+01:00"), true},
		{"DateEquals", "2030-01-01T00:00:00Z", one("2029-12-31T23:00:00-01:00"), true},
		{"DateEquals", "2030-01-01T00:00:00.1234Z", one("1893456000.1239"), true},
		{"DateEquals", "2030-01-01T00:00:00Z", one("2030"), true},
		{"DateEquals", "1969-12-31T23:59:59.5Z", one("-0.5"), true},
		{"DateEquals", "0000-01-01", one("-62167219200"), true},
		{"DateGreaterThan", "-0001-12-31", one("0000-01-01"), true},
		{"DateEquals", "2024-02-29", one("1709164800"), true},
		{"DateEquals", "2030-01-01T00:00:00Z", one("not-a-date"), false},
		{"DateNotEquals", "2030-01-01T00:00:00Z", one("not-a-date"), true},
		{"DateNotEquals", "not-a-date", one("2030-01-01T00:00:00Z"), true},
		{"DateLessThan", "2030-01-01T00:00:00Z", one("2029-12-31T23:59:59Z"), true},
		{"DateLessThan", "2030-01-01T00:00:00Z", nil, false},
		{"DateLessThanEquals", "2030-01-01T00:00:00Z", one("2030-01-01T00:00:00Z"), true},
		{"DateGreaterThan", "2030-01-01T00:00:00Z", one("2030-01-01T00:00:00.001Z"), true},
		{"DateGreaterThanEquals", "2030-01-01T00:00:00Z", one("2029-12-31"), false},

		{"Bool", true, one("TRUE"), true},
		{"Bool", "false", one("yes"), true},
		{"Bool", "false", one(" true "), true},
		{"Bool", "true", one("1"), false},
		{"Bool", "false", nil, false},
		{"BoolIfExists", "true", nil, true},
		{"BoolIfExists", "true", one("false"), false},
		{"BinaryEquals", "aGVsbG8=", one("aGVsbG8="), true},
		{"BinaryEquals", "aGVsbG8=", one("d29ybGQ="), false},
		{"BinaryEquals", "aGVsbG8=", one("?"), false},

		{"IpAddress", "192.0.2.0/24", one("192.0.2.42"), true},
		{"IpAddress", "192.0.2.7/24", one("192.0.2.42"), true},
		{"IpAddress", "192.0.2.7/024", one("192.0.2.42"), true},
		{"IpAddress", "192.000.002.0/24", one("192.0.2.42"), true},
		{"IpAddress", "192.0.2.42", one("192.0.2.42"), true},
		{"IpAddress", "192.0.2.42", one("192.0.2.43"), false},
		{"IpAddress", "192.0.2.0/24", one("192.0.2.1/32"), false},
		{"IpAddress", "192.0.2.0/24", one("::ffff:192.0.2.1"), true},
		{"IpAddress", "::/0", one("192.0.2.1"), false},
		{"IpAddress", "0.0.0.0/0", one("2001:db8::1"), false},
		{"IpAddress", []string{"192.0.2.0/24", "2001:db8::/32"}, one("2001:db8::1"), true},
		{"IpAddress", "2001:db8::5", one("2001:db8::5"), true},
		{"IpAddress", "2001:db8::5/64", one("2001:db8::5"), false},
		{"NotIpAddress", "0.0.0.0/0", one("2001:db8::1"), true},
		{"NotIpAddress", "192.0.2.0/24", one("192.0.2.1"), false},
		{"NotIpAddress", "192.0.2.0/24", one("not-an-ip"), false},
		{"NotIpAddress", "not-an-ip", one("192.0.2.1"), true},
		{"NotIpAddress", "192.0.2.0/24", nil, true},

		{"ArnEquals", "arn:aws:iam::*:role/team-*", one("arn:aws:iam::111122223333:role/team-a"), true},
		{"ArnLike", "arn:aws:iam::*:role/team-*", one("arn:aws:iam::111122223333:role/Team-a"), false},
		{"ArnLike", "arn:aws:lambda:*:*:function:f*", one("arn:aws:lambda:us-east-1:111122223333:function:f:live"), true},
		{"ArnLike", "arn:aws:*:role/x", one("arn:aws:iam::111122223333:role/x"), false},
		{"ArnLike", "arn:aws:*:*:*:role/x", one("arn:aws:iam::1:y:role/x"), false},
		{"ArnLike", "*", one("arn:aws:iam::111122223333:role/x"), true},
		{"ArnLike", "arn:aws:iam::*:*", one("not-an-arn"), false},
		{"ArnNotLike", "arn:aws:iam::*:*", one("not-an-arn"), false},
		{"ArnNotEquals", "arn:aws:iam::*:user/*", one("arn:aws:iam::111122223333:role/x"), true},
		{"ArnNotLike", "arn:aws:iam::*:user/*", nil, true},

		{"Null", "true", nil, true},
		{"Null", true, one(""), false},
		{"Null", "false", one(""), true},
		{"Null", "yes", one("x"), true},
		{"Null", []string{"true", "false"}, nil, true},
		{"Null", "false", []string{}, true},

		{"StringEquals", "prod", two, false},
		{"StringNotEquals", "x", two, false},
		{"StringNotEqualsIfExists", "x", two, false},
		{"ForAllValues:StringEquals", two, two, true},
		{"ForAllValues:StringEquals", "prod", two, false},
		{"ForAllValues:StringEquals", "prod", nil, true},
		{"ForAllValues:StringNotEquals", "prod", nil, true},
		{"ForAllValues:StringNotEquals", "x", two, true},
		{"ForAllValues:StringNotEquals", "prod", two, false},
		{"ForAllValues:StringEqualsIfExists", "prod", nil, true},
		{"ForAnyValue:StringEquals", "prod", two, true},
		{"ForAnyValue:StringEquals", "x", two, false},
		{"ForAnyValue:StringEquals", "prod", nil, false},
		{"ForAnyValue:StringNotEquals", "prod", nil, false},
		{"ForAnyValue:StringNotEquals", "prod", two, true},
		{"ForAnyValue:StringNotEquals", two, two, false},
		{"ForAnyValue:StringEqualsIfExists", "prod", nil, false},
		{"ForAnyValue:StringLike", "pr*", one("prod"), true},
		{"ForAnyValue:NumericEquals", "1", []string{"no-number", "1"}, true},
		{"ForAllValues:NumericEquals", "1", []string{"no-number", "1"}, false},

		{"StringEquals", []string{}, one("prod"), false},
		{"StringNotEquals", []string{}, one("prod"), false},
		{"StringNotEquals", []string{}, nil, false},
		{"StringNotEqualsIfExists", []string{}, nil, true},
		{"ForAllValues:StringNotEquals", []string{}, nil, true},
		{"ForAllValues:StringNotEquals", []string{}, two, false},
		{"ForAnyValue:StringNotEquals", []string{}, two, false},
	} {
		e := under(t, policy.Allow, c.operator, c.policy, c.request)
		if got := e.Outcome == policy.Allowed; got != c.want {
			t.Errorf("%s %q on %q: %v, want %v", c.operator, c.policy, c.request, got, c.want)
		}
		if got := e.Statements[0].Conditions[0]; got.Matched != c.want || got.Present != (c.request != nil) || got.Operator != c.operator {
			t.Errorf("%s %q on %q is traced as %+v", c.operator, c.policy, c.request, got)
		}
	}
}

func TestOneValueOfAMultivaluedKeyIsMatchedByNoPlainOperator(t *testing.T) {
	for operator, want := range map[string]policy.Outcome{
		"StringEquals": policy.ImplicitDeny, "StringNotEquals": policy.ImplicitDeny, "StringNotLikeIfExists": policy.ImplicitDeny,
		"ForAnyValue:StringEquals": policy.Allowed, "ForAllValues:StringEquals": policy.Allowed,
	} {
		d, err := policy.Parse(policy.Identity, doing(fmt.Sprintf(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"aws:TagKeys":"a"}}`, operator)))
		if err != nil {
			t.Fatal(err)
		}
		r := policy.Request{Action: "s3:GetObject", Resource: "*"}
		r.Context.SetAll("aws:TagKeys", []string{"a"})
		if e := d.Evaluate(&r); e.Outcome != want {
			t.Errorf("%s: %s, want %s", operator, e.Outcome, want)
		}
	}
}

func TestUnusablePatternOfAnARNNeverHelpsWhoAsks(t *testing.T) {
	const user = "arn:aws:iam::111122223333:user/test"
	bad, good, other := "not-an-arn", "arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*"
	for _, c := range []struct {
		operator     string
		policy       []string
		request      string
		allows, deny bool
	}{
		{"ArnLike", []string{bad}, user, false, true},
		{"ArnLike", []string{bad, good}, user, false, true},
		{"ArnLike", []string{good, bad}, user, true, true},
		{"ArnLike", []string{other, bad}, user, false, true},
		{"ArnNotLike", []string{bad}, user, false, true},
		{"ArnNotLike", []string{bad, good}, user, false, true},
		{"ArnNotLike", []string{good, bad}, user, false, false},
		{"ArnNotLike", []string{other, bad}, user, false, true},
		{"ArnLike", []string{bad}, bad, false, false},
		{"ArnNotLike", []string{bad}, bad, false, false},
		{"ForAnyValue:ArnLike", []string{bad}, user, false, true},
		{"ForAllValues:ArnLike", []string{bad}, user, false, true},
	} {
		allow := under(t, policy.Allow, c.operator, c.policy, []string{c.request})
		deny := under(t, policy.Deny, c.operator, c.policy, []string{c.request})
		if (allow.Outcome == policy.Allowed) != c.allows || (deny.Outcome == policy.ExplicitDeny) != c.deny {
			t.Errorf("%s %q on %s: Allow gives %s, Deny %s; want %v, %v", c.operator, c.policy, c.request, allow.Outcome, deny.Outcome, c.allows, c.deny)
		}
	}
	if c := under(t, policy.Deny, "ArnLike", bad, []string{user}).Statements[0].Conditions[0]; !c.Unusable || !c.Matched {
		t.Errorf("the trace does not say so: %+v", c)
	}
}
