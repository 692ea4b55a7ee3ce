package policy_test

import (
	"fmt"
	"testing"

	"laterna.dev/laterna/internal/aws/policy"
)

// set fills a request with keys; those of several values are multivalued.
func set(r *policy.Request, keys map[string][]string) {
	for k, v := range keys {
		if len(v) == 1 {
			r.Context.Set(k, v[0])
		} else {
			r.Context.SetAll(k, v)
		}
	}
}

func TestVariablesInResources(t *testing.T) {
	team := func(v ...string) map[string][]string { return map[string][]string{"AWS:PrincipalTag/Team": v} }
	const at = "arn:aws:s3:::b/"
	for _, c := range []struct {
		pattern, resource string
		keys              map[string][]string
		want              bool
	}{
		{at + "${aws:PrincipalTag/team}/*", at + "red/file", team("red"), true},
		{at + "${aws:PrincipalTag/team}/*", at + "blue/file", team("red"), false},
		{at + "${aws:PrincipalTag/team}/*", at + "/file", nil, false},
		{at + "${aws:PrincipalTag/team}/*", at + "red/file", team("red", "blue"), false},
		{at + "${aws:PrincipalTag/team}/*", at + "other/file", team("*"), false},
		{at + "${aws:PrincipalTag/team}/*", at + "*/file", team("*"), true},
		{at + "${aws:PrincipalTag/team}", at + "x", team("?"), false},
		{at + "${*}", at + "*", nil, true},
		{at + "${*}", at + "x", nil, false},
		{at + "${?}", at + "?", nil, true},
		{at + "${?}", at + "x", nil, false},
		{at + "${$}{aws:username}", at + "${aws:username}", nil, true},
		{at + "${aws:PrincipalTag/team}", at + "${aws:username}", team("${aws:username}"), true},
		{at + "${aws:PrincipalTag/team, 'shared'}/*", at + "shared/file", nil, true},
		{at + "${aws:PrincipalTag/team,'shared'}/*", at + "red/file", team("red"), true},
		{at + "${aws:PrincipalTag/team, 'shared'}/*", at + "shared/file", team(""), false},
		{at + "${aws:PrincipalTag/team, 'shared'}/*", at + "shared/file", team("a", "b"), false},
		{at + "${aws:PrincipalTag/team, '*'}", at + "file", nil, false},
		{at + "${aws:PrincipalTag/team, 'red,}blue'}", at + "red,}blue", nil, true},
	} {
		d, err := policy.Parse(policy.Identity, doing(fmt.Sprintf(`"Effect":"Allow","Action":"s3:GetObject","Resource":%q`, c.pattern)))
		if err != nil {
			t.Fatalf("%s: %v", c.pattern, err)
		}
		r := policy.Request{Action: "s3:GetObject", Resource: c.resource}
		set(&r, c.keys)
		if got := d.Evaluate(&r).Outcome == policy.Allowed; got != c.want {
			t.Errorf("%s with %v on %s: %v, want %v", c.pattern, c.keys, c.resource, got, c.want)
		}
	}
}

func TestVariablesInConditions(t *testing.T) {
	red := map[string][]string{"aws:PrincipalTag/team": {"red"}}
	star := map[string][]string{"aws:PrincipalTag/team": {"*"}}
	arn := map[string][]string{"aws:PrincipalTag/team": {"arn:aws:s3:::b/x"}}
	const v = "${aws:PrincipalTag/team}"
	for _, c := range []struct {
		operator, pattern, value string
		keys                     map[string][]string
		want                     bool
	}{
		{"StringEquals", v, "red", red, true},
		{"StringEquals", v + "*", "red*", red, true},
		{"StringEqualsIgnoreCase", v, "RED", red, true},
		{"StringLike", "x-" + v + "-*", "x-red-y", red, true},
		{"StringLike", "x-" + v, "x-any", star, false},
		{"StringEquals", v, "", nil, false},
		{"StringNotEquals", v, "any", nil, true},
		{"StringNotLike", "x" + v, "any", nil, true},
		{"StringNotEquals", v, "red", red, false},
		{"ArnEquals", v, "arn:aws:s3:::b/x", arn, true},
		{"ArnLike", "arn:aws:s3:::b/" + v + "/*", "arn:aws:s3:::b/red/f", red, true},
		{"ArnLike", "arn:aws:s3:::b/" + v + "/*", "arn:aws:s3:::b/blue/f", star, false},
		{"ArnLike", v, "arn:aws:s3:::b", star, false},
	} {
		d, err := policy.Parse(policy.Identity, doing(fmt.Sprintf(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"s3:key":%q}}`, c.operator, c.pattern)))
		if err != nil {
			t.Fatal(err)
		}
		r := policy.Request{Action: "s3:GetObject", Resource: "*"}
		set(&r, c.keys)
		r.Context.Set("s3:key", c.value)
		if got := d.Evaluate(&r).Outcome == policy.Allowed; got != c.want {
			t.Errorf("%s %s with %v on %s: %v, want %v", c.operator, c.pattern, c.keys, c.value, got, c.want)
		}
	}
}

func TestVariablesAreTextInOlderVersions(t *testing.T) {
	for _, version := range []string{"", `"Version":"2008-10-17",`} {
		d, err := policy.Parse(policy.Session, `{`+version+`"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}}`)
		if err != nil {
			t.Fatal(err)
		}
		for resource, want := range map[string]policy.Outcome{"arn:aws:s3:::b/${aws:username}": policy.Allowed, "arn:aws:s3:::b/alice": policy.ImplicitDeny} {
			r := policy.Request{Action: "s3:GetObject", Resource: resource}
			r.Context.Set("aws:username", "alice")
			if e := d.Evaluate(&r); e.Outcome != want {
				t.Errorf("%q %s: %s, want %s", version, resource, e.Outcome, want)
			}
		}
	}
}
