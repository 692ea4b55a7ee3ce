package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// RuleAllows reports whether rule permits the request that attrs describe.
func RuleAllows(attrs authorizer.Attributes, rule *rbacv1.PolicyRule) bool {
	if !matches(rule.Verbs, rbacv1.VerbAll, attrs.GetVerb()) {
		return false
	}
	if !attrs.IsResourceRequest() {
		return pathMatches(rule.NonResourceURLs, attrs.GetPath())
	}
	return matches(rule.APIGroups, rbacv1.APIGroupAll, attrs.GetAPIGroup()) &&
		resourceMatches(rule.Resources, attrs.GetResource(), attrs.GetSubresource()) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, attrs.GetName()))
}

// RulesAllow reports whether any of rules permits the request.
func RulesAllow(attrs authorizer.Attributes, rules []rbacv1.PolicyRule) bool {
	for i := range rules {
		if RuleAllows(attrs, &rules[i]) {
			return true
		}
	}
	return false
}

func matches(allowed []string, all, requested string) bool {
	for _, a := range allowed {
		if a == all || a == requested {
			return true
		}
	}
	return false
}

// resourceMatches compares rule resources, which are "*", "pods", "pods/log" or
// "*/log", with a request. "pods/*" means nothing, as upstream.
func resourceMatches(allowed []string, resource, subresource string) bool {
	for _, a := range allowed {
		if a == rbacv1.ResourceAll {
			return true
		}
		if subresource == "" {
			if a == resource {
				return true
			}
			continue
		}
		if name, ok := strings.CutSuffix(a, subresource); ok {
			if name, ok = strings.CutSuffix(name, "/"); ok && (name == resource || name == "*") {
				return true
			}
		}
	}
	return false
}

// pathMatches compares a path with rule paths, which may end in "*".
func pathMatches(allowed []string, path string) bool {
	for _, a := range allowed {
		if a == path {
			return true
		}
		if prefix, wild := strings.CutSuffix(a, "*"); wild && strings.HasPrefix(path, strings.TrimRight(prefix, "*")) {
			return true
		}
	}
	return false
}
