package rbac

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// maxComparisons bounds how often a part of a rule (one verb, group, resource and name)
// is compared with a rule that somebody holds. A rule of a few kilobytes has billions of
// parts. Real roles need a few thousand comparisons.
const maxComparisons = 2_000_000

// covers tells whether held grants all of rules, and which parts it does not. ok is
// false when there are too many parts to tell.
func covers(held, rules []rbacv1.PolicyRule) (covered bool, lacking []rbacv1.PolicyRule, ok bool) {
	if len(rules) > maxComparisons/max(1, len(held)) {
		return false, nil, false
	}
	// Most rules are covered by one that is held, as they are: no need to take them
	// apart.
	var open []rbacv1.PolicyRule
	parts := 0
	for _, r := range rules {
		if slices.ContainsFunc(held, func(h rbacv1.PolicyRule) bool { return coversWhole(h, r) }) {
			continue
		}
		open = append(open, r)
		if parts += partsOf(r); parts > maxComparisons/max(1, len(held)) || parts > maxParts {
			return false, nil, false
		}
	}
	covered, lacking = validation.Covers(held, open)
	return covered, lacking, true
}

// maxParts is how many parts a refusal may name.
const maxParts = 20_000

// partsOf returns how many parts a rule has, or more than maxComparisons.
func partsOf(r rbacv1.PolicyRule) int {
	n := 1
	for _, factor := range []int{len(r.APIGroups), len(r.Resources), len(r.Verbs), max(1, len(r.ResourceNames))} {
		if n *= factor; n > maxComparisons {
			return n
		}
	}
	return n + len(r.NonResourceURLs)*len(r.Verbs)
}

// coversWhole tells whether one rule grants all of another, looking at plain equality
// and "*" only.
func coversWhole(held, rule rbacv1.PolicyRule) bool {
	return contains(held.Verbs, rule.Verbs) &&
		contains(held.APIGroups, rule.APIGroups) &&
		contains(held.Resources, rule.Resources) &&
		(len(held.ResourceNames) == 0 || len(rule.ResourceNames) > 0 && containsAll(held.ResourceNames, rule.ResourceNames)) &&
		contains(held.NonResourceURLs, rule.NonResourceURLs)
}

func contains(set, values []string) bool {
	return len(values) == 0 || slices.Contains(set, rbacv1.VerbAll) || containsAll(set, values)
}

// containsAll takes time that grows with the sum of both.
func containsAll(set, values []string) bool {
	if len(set)*len(values) < 100 {
		return !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(set, v) })
	}
	in := make(map[string]bool, len(set))
	for _, s := range set {
		in[s] = true
	}
	return !slices.ContainsFunc(values, func(v string) bool { return !in[v] })
}

// tooMany is what a refusal says when nobody can tell what is lacking.
const tooMany = "its rules combine too many verbs, resources and names to compare them with those that are held: write several smaller roles"
