package hint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/policy"
)

// Code tells hints apart for programs and tests.
type Code string

// The codes.
const (
	Denied Code = "denied" // a statement denies

	ProviderCase    Code = "provider-case"    // only letter case differs
	ProviderSlash   Code = "provider-slash"   // only a trailing slash differs
	ProviderAccount Code = "provider-account" // it is of another account
	ProviderScheme  Code = "provider-scheme"  // the ARN holds https://
	ProviderNotARN  Code = "provider-not-arn" // the issuer stands where its provider's ARN should
	ProviderDiffers Code = "provider-differs"
	StarNoWeb       Code = "star-no-web-identity" // "AWS": "*" lets no web identity in

	PrincipalCase    Code = "principal-case"
	PrincipalGone    Code = "principal-gone" // a unique id that is not the caller's
	RolePath         Code = "role-path"      // only the path of the role differs
	SelfAssume       Code = "self-assume"    // a role that is to assume itself must be named
	PrincipalDiffers Code = "principal-differs"

	ActionDiffers   Code = "action-differs"
	TagSession      Code = "tag-session"
	SourceIdentity  Code = "source-identity"
	ResourceDiffers Code = "resource-differs"

	KeyARN         Code = "key-arn"    // the key holds the provider's ARN, not its issuer
	KeyScheme      Code = "key-scheme" // the key holds https://
	KeySlash       Code = "key-slash"  // only a trailing slash of the issuer differs
	KeyPath        Code = "key-path"   // the issuer's path is missing or another
	KeyBare        Code = "key-bare"   // a claim without its issuer
	KeyClaim       Code = "key-claim"  // a claim of which AWS makes no key
	KeyIssuer      Code = "key-issuer" // the key is of another issuer
	KeyAbsent      Code = "key-absent"
	KeyMultivalued Code = "key-multivalued" // a plain operator on a key of several values

	LiteralWildcard Code = "literal-wildcard" // StringEquals takes * literally
	ValueCase       Code = "value-case"
	ValueSlash      Code = "value-slash"
	ValueBlank      Code = "value-blank"
	AudienceInSub   Code = "audience-in-sub"
	SubInAudience   Code = "sub-in-audience"
	ServiceAccount  Code = "service-account" // the token is of another one
	SubPrefix       Code = "sub-prefix"      // system:serviceaccount: is missing
	ValueNear       Code = "value-near"      // a slip of the pen
	ValueExcluded   Code = "value-excluded"  // a negated operator
	VariableAbsent  Code = "variable-absent"
	UnusableARN     Code = "unusable-arn"
	ValueDiffers    Code = "value-differs"
)

// Hint is one thing that stood in the way.
type Hint struct {
	Code      Code         `json:"code"`
	Layer     policy.Layer `json:"layer,omitempty"`
	Source    string       `json:"source,omitempty"`
	Statement int          `json:"statement"` // from 0
	Sid       string       `json:"sid,omitempty"`
	Key       string       `json:"key,omitempty"` // of conditions
	Text      string       `json:"text"`          // what is wrong and what to change
}

// Of returns hints for a decision that is not to allow, those of the statement that came
// nearest first. They are about the layer that said no.
func Of(d *policy.Decision) []Hint {
	var out []Hint
	var near []int
	for i := range d.Evaluations {
		e := &d.Evaluations[i]
		if e.Layer != d.Layer || d.Outcome == policy.Allowed {
			continue
		}
		for j := range e.Statements {
			s := &e.Statements[j]
			found := statement(d, s)
			for k := range found {
				found[k].Layer, found[k].Source, found[k].Statement, found[k].Sid = e.Layer, e.Source, s.Index, s.Sid
				near = append(near, failures(s))
			}
			out = append(out, found...)
		}
	}
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(near[a], near[b]) })
	sorted := make([]Hint, len(out))
	for i, at := range order {
		sorted[i] = out[at]
	}
	return sorted
}

// failures counts the parts of a statement that do not match. Another principal weighs more:
// such a statement is most often for others.
func failures(s *policy.StatementTrace) int {
	n := 0
	if s.Principal.Policy != nil && s.Principal.Grant == policy.NoGrant {
		n += 10
	}
	if !s.Action.Matched {
		n++
	}
	if s.Resource.Element != "" && !s.Resource.Matched {
		n++
	}
	for i := range s.Conditions {
		if !s.Conditions[i].Matched {
			n++
		}
	}
	return n
}

func statement(d *policy.Decision, s *policy.StatementTrace) []Hint {
	if d.Outcome == policy.ExplicitDeny {
		if s.Effect == policy.Deny && s.Applies {
			return []Hint{{Code: Denied, Text: denies(s)}}
		}
		return nil
	}
	if s.Effect == policy.Deny || s.Applies {
		return nil
	}
	var out []Hint
	if s.Principal.Policy != nil && s.Principal.Grant == policy.NoGrant {
		out = append(out, principal(d, s))
	}
	if !s.Action.Matched {
		out = append(out, action(s))
	}
	if s.Resource.Element != "" && !s.Resource.Matched {
		out = append(out, Hint{Code: ResourceDiffers, Text: fmt.Sprintf("%s is %s; the call is for %s.", s.Resource.Element, list(s.Resource.Policy), quote(s.Resource.Request))})
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if c.Matched {
			continue
		}
		h := condition(d, c)
		h.Key = c.Key
		out = append(out, h)
	}
	return out
}

func denies(s *policy.StatementTrace) string {
	var because []string
	for i := range s.Conditions {
		c := &s.Conditions[i]
		because = append(because, fmt.Sprintf("%s %s %s", c.Operator, quote(c.Key), list(c.Policy)))
	}
	text := fmt.Sprintf("A statement denies %s", s.Action.Request)
	if len(because) > 0 {
		text += " by " + strings.Join(because, " and ")
	}
	return text + ". A deny wins whatever else allows."
}

func action(s *policy.StatementTrace) Hint {
	h := Hint{Code: ActionDiffers, Text: fmt.Sprintf("%s is %s; the call is %s.", s.Action.Element, list(s.Action.Policy), s.Action.Request)}
	switch {
	case strings.EqualFold(s.Action.Request, "sts:TagSession"):
		h.Code, h.Text = TagSession, "The session has tags, for which sts:TagSession must be allowed in the same policy: add it to Action."
	case strings.EqualFold(s.Action.Request, "sts:SetSourceIdentity"):
		h.Code, h.Text = SourceIdentity, "The session has a source identity, for which sts:SetSourceIdentity must be allowed in the same policy: add it to Action."
	}
	return h
}

// quote prints a value of a policy or a request, shortened if it is long.
func quote(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// list prints values, shortened if there are many.
func list(values []string) string {
	const most = 5
	var b strings.Builder
	for i, v := range values {
		if i == most {
			fmt.Fprintf(&b, " or %d more", len(values)-most)
			break
		}
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(quote(v))
	}
	if len(values) == 0 {
		return "empty"
	}
	return b.String()
}
