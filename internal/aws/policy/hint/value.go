package hint

import (
	"fmt"
	"strings"

	"laterna.dev/laterna/internal/aws/policy"
)

const subject = "system:serviceaccount:"

// value says of a value that is present and another than the policy's in what they differ.
func value(d *policy.Decision, c *policy.ConditionTrace, want, has string) (Hint, bool) {
	both := fmt.Sprintf("the policy has %s, the call %s", quote(want), quote(has))
	exact := !strings.Contains(baseOf(c.Operator), "Like")
	switch {
	case exact && strings.ContainsAny(want, "*?") && policy.Like(want, has):
		like := strings.Replace(strings.Replace(c.Operator, "EqualsIgnoreCase", "Like", 1), "Equals", "Like", 1)
		return Hint{Code: LiteralWildcard, Text: fmt.Sprintf("%s takes * and ? literally: write %s for %s to match %s.", c.Operator, like, quote(want), quote(has))}, true
	case strings.EqualFold(want, has) || !exact && policy.Like(strings.ToLower(want), strings.ToLower(has)):
		return Hint{Code: ValueCase, Text: "Only letter case differs, which counts: " + both + "."}, true
	case strings.TrimSuffix(want, "/") == strings.TrimSuffix(has, "/"):
		return Hint{Code: ValueSlash, Text: "Only a trailing slash differs, which counts: " + both + "."}, true
	case strings.TrimSpace(want) == strings.TrimSpace(has):
		return Hint{Code: ValueBlank, Text: "Only blanks differ, which count: " + both + "."}, true
	}
	if h, ok := misplaced(d, c, want, has); ok {
		return h, true
	}
	if h, ok := account(want, has); ok {
		return h, true
	}
	if n := distance(want, has); n <= 3 && n*4 <= len(has) {
		return Hint{Code: ValueNear, Text: "The values are close, as by a slip: " + both + "."}, true
	}
	return Hint{}, false
}

// misplaced finds the audience under :sub and the subject under :aud.
func misplaced(d *policy.Decision, c *policy.ConditionTrace, want, has string) (Hint, bool) {
	issuer, claim, ok := cutClaim(c.Key)
	if !ok {
		return Hint{}, false
	}
	other := map[string]string{"sub": "aud", "aud": "sub"}[strings.ToLower(claim)]
	for _, k := range d.Keys {
		if !strings.EqualFold(k.Name, issuer+":"+other) || len(k.Values) == 0 {
			continue
		}
		if other == "aud" && (want == k.Values[0] || want == "sts.amazonaws.com") {
			return Hint{Code: AudienceInSub, Text: fmt.Sprintf("%s is an audience and belongs under %s; %s is the subject, here %s.", quote(want), quote(k.Name), quote(c.Key), quote(has))}, true
		}
		if other == "sub" && (policy.Like(want, k.Values[0]) || strings.HasPrefix(want, subject)) {
			return Hint{Code: SubInAudience, Text: fmt.Sprintf("%s is a subject and belongs under %s; %s is the audience, here %s.", quote(want), quote(k.Name), quote(c.Key), quote(has))}, true
		}
	}
	return Hint{}, false
}

// account compares the service accounts that two subjects name.
func account(want, has string) (Hint, bool) {
	rest, ok := strings.CutPrefix(has, subject)
	if !ok {
		return Hint{}, false
	}
	namespace, name, _ := strings.Cut(rest, ":")
	if want == rest || want == namespace+"/"+name || want == name {
		return Hint{Code: SubPrefix, Text: fmt.Sprintf("The subject of a service account is written %s, not %s.", quote(has), quote(want))}, true
	}
	theirs, ok := strings.CutPrefix(want, subject)
	if !ok {
		return Hint{}, false
	}
	wantNamespace, wantName, _ := strings.Cut(theirs, ":")
	what := "another service account"
	switch {
	case wantNamespace == namespace:
		what = "another service account of the namespace"
	case wantName == name:
		what = "a service account of that name in another namespace"
	}
	return Hint{Code: ServiceAccount, Text: fmt.Sprintf("The token is of %s: the policy trusts %s, the call is by %s.", what, quote(wantNamespace+"/"+wantName), quote(namespace+"/"+name))}, true
}
