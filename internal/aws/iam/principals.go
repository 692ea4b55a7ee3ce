package iam

import (
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/policy"
)

// TrustedRoles returns the ARNs of roles that a trust policy names as principals, sorted.
// Of a text that is no policy it returns none.
func TrustedRoles(document string) []string {
	d, err := policy.Parse(policy.Trust, document)
	if err != nil {
		return nil
	}
	var arns []string
	for _, p := range d.Principals() {
		if p.Type != policy.AWS {
			continue
		}
		if _, err := arn.ParseRole(p.Value); err == nil {
			arns = append(arns, p.Value)
		}
	}
	slices.Sort(arns)
	return arns
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
