package rbac_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"laterna.dev/laterna/internal/authz/rbac"
)

func request(verb, group, resource, subresource, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{Verb: verb, APIGroup: group, Resource: resource, Subresource: subresource, Name: name, ResourceRequest: true}
}

func TestRuleAllows(t *testing.T) {
	rule := func(verbs, groups, resources, names []string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: resources, ResourceNames: names}
	}
	type s = []string
	path := func(verb, p string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, Path: p}
	}
	paths := func(verb string, p ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: s{verb}, NonResourceURLs: p}
	}
	for name, tc := range map[string]struct {
		rule  rbacv1.PolicyRule
		attrs authorizer.AttributesRecord
		want  bool
	}{
		"exact":                             {rule(s{"get"}, s{""}, s{"pods"}, nil), request("get", "", "pods", "", "a"), true},
		"other verb":                        {rule(s{"get"}, s{""}, s{"pods"}, nil), request("list", "", "pods", "", ""), false},
		"other group":                       {rule(s{"get"}, s{""}, s{"pods"}, nil), request("get", "apps", "pods", "", "a"), false},
		"other resource":                    {rule(s{"get"}, s{""}, s{"pods"}, nil), request("get", "", "secrets", "", "a"), false},
		"all of everything":                 {rule(s{"*"}, s{"*"}, s{"*"}, nil), request("delete", "apps", "deployments", "scale", "a"), true},
		"no groups match nothing":           {rule(s{"*"}, nil, s{"*"}, nil), request("get", "", "pods", "", "a"), false},
		"resource is not its subresource":   {rule(s{"get"}, s{""}, s{"pods"}, nil), request("get", "", "pods", "log", "a"), false},
		"subresource":                       {rule(s{"get"}, s{""}, s{"pods/log"}, nil), request("get", "", "pods", "log", "a"), true},
		"subresource is not its resource":   {rule(s{"get"}, s{""}, s{"pods/log"}, nil), request("get", "", "pods", "", "a"), false},
		"subresource of any resource":       {rule(s{"get"}, s{""}, s{"*/scale"}, nil), request("get", "", "pods", "scale", "a"), true},
		"other subresource of any resource": {rule(s{"get"}, s{""}, s{"*/scale"}, nil), request("get", "", "pods", "status", "a"), false},
		"any subresource means nothing":     {rule(s{"get"}, s{""}, s{"pods/*"}, nil), request("get", "", "pods", "log", "a"), false},
		"suffix of a subresource":           {rule(s{"get"}, s{""}, s{"pods/xlog"}, nil), request("get", "", "pods", "log", "a"), false},
		"resource with a slash and no more": {rule(s{"get"}, s{""}, s{"pods/"}, nil), request("get", "", "pods", "", "a"), false},
		"name":                              {rule(s{"get"}, s{""}, s{"pods"}, s{"a", "b"}), request("get", "", "pods", "", "b"), true},
		"other name":                        {rule(s{"get"}, s{""}, s{"pods"}, s{"a"}), request("get", "", "pods", "", "b"), false},
		"name does not cover a list":        {rule(s{"list"}, s{""}, s{"pods"}, s{"a"}), request("list", "", "pods", "", ""), false},
		"path":                              {paths("get", "/api"), path("get", "/api"), true},
		"path is not its children":          {paths("get", "/api"), path("get", "/api/v1"), false},
		"path with star":                    {paths("get", "/api/*"), path("get", "/api/v1"), true},
		"path with star is not its parent":  {paths("get", "/api/*"), path("get", "/api"), false},
		"all paths":                         {paths("*", "*"), path("post", "/metrics"), true},
		"path, other verb":                  {paths("get", "*"), path("post", "/metrics"), false},
		"paths are not resources":           {paths("*", "*"), request("get", "", "pods", "", "a"), false},
		"resources are not paths":           {rule(s{"*"}, s{"*"}, s{"*"}, nil), path("get", "/api"), false},
		"star inside a path is a character": {paths("get", "/a*/b"), path("get", "/ax/b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rbac.RuleAllows(tc.attrs, &tc.rule); got != tc.want {
				t.Errorf("allowed = %v, want %v", got, tc.want)
			}
		})
	}
}
