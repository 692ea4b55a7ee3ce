package iam

import (
	"encoding/json"
	"slices"
	"strings"
)

// TrustedRoles returns the ARNs of roles that a trust policy names as principals, each
// once, sorted. Of a text that is no policy it returns none.
func TrustedRoles(document string) []string {
	var policy struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(document), &policy) != nil {
		return nil
	}
	type statement struct{ Principal json.RawMessage }
	var statements []statement
	if json.Unmarshal(policy.Statement, &statements) != nil {
		var one statement
		if json.Unmarshal(policy.Statement, &one) != nil {
			return nil
		}
		statements = []statement{one}
	}
	var arns []string
	for _, s := range statements {
		var principal struct{ AWS json.RawMessage }
		if json.Unmarshal(s.Principal, &principal) != nil {
			continue // "*"
		}
		for _, p := range texts(principal.AWS) {
			if n, err := ParseName(p); err == nil && n.Kind == "role" {
				arns = append(arns, p)
			}
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// texts reads a string or a list of them.
func texts(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	return nil
}

// Shown returns the trust policy as it is shown: roles that it was written for and that
// are no longer, or are others now, stand in it as their unique ids. current tells the id
// that an ARN has now, "" for none.
func (r *Role) Shown(current func(arn string) string) string {
	shown := r.TrustPolicy
	for arn, id := range r.Principals {
		if current(arn) == id {
			continue
		}
		was, is := quoted(arn), quoted(id)
		shown = strings.ReplaceAll(shown, was, is)
	}
	return shown
}

// quoted is a text as JSON.
func quoted(s string) string { return `"` + s + `"` }
