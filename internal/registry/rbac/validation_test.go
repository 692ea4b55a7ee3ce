package rbac_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/rbac"
)

func texts(errs field.ErrorList) string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Error())
	}
	return strings.Join(out, "\n")
}

func TestValidateRules(t *testing.T) {
	type s = []string
	for name, tc := range map[string]struct {
		rule       rbacv1.PolicyRule
		namespaced bool
		want       string
	}{
		"resource":           {rbacv1.PolicyRule{Verbs: s{"get"}, APIGroups: s{""}, Resources: s{"pods"}}, true, ""},
		"path":               {rbacv1.PolicyRule{Verbs: s{"get"}, NonResourceURLs: s{"/x"}}, false, ""},
		"no verbs":           {rbacv1.PolicyRule{APIGroups: s{""}, Resources: s{"pods"}}, true, "rules[0].verbs: Required value: verbs must contain at least one value"},
		"no groups":          {rbacv1.PolicyRule{Verbs: s{"get"}, Resources: s{"pods"}}, true, "rules[0].apiGroups: Required value: resource rules must supply at least one api group"},
		"no resources":       {rbacv1.PolicyRule{Verbs: s{"get"}, APIGroups: s{""}}, true, "rules[0].resources: Required value: resource rules must supply at least one resource"},
		"path in a role":     {rbacv1.PolicyRule{Verbs: s{"get"}, NonResourceURLs: s{"/x"}}, true, `rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs`},
		"path with resource": {rbacv1.PolicyRule{Verbs: s{"get"}, NonResourceURLs: s{"/x"}, Resources: s{"pods"}}, false, `rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := texts(rbac.ValidateRules([]rbacv1.PolicyRule{tc.rule}, tc.namespaced)); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestValidateBinding(t *testing.T) {
	good := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
	to := func(s rbacv1.Subject) []rbacv1.Subject { return []rbacv1.Subject{s} }
	for name, tc := range map[string]struct {
		ref        rbacv1.RoleRef
		subjects   []rbacv1.Subject
		namespaced bool
		want       string
	}{
		"nobody":       {good, nil, true, ""},
		"system names": {rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node"}, to(rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:kube-proxy"}), false, ""},
		"no group":     {rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}, nil, true, `roleRef.apiGroup: Unsupported value: "": supported values: "rbac.authorization.k8s.io"`},
		"wrong kind":   {rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Pod", Name: "view"}, nil, true, `roleRef.kind: Unsupported value: "Pod": supported values: "Role", "ClusterRole"`},
		"no name":      {rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole"}, nil, true, `roleRef.name: Required value`},
		"path as name": {rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ".."}, nil, true, `roleRef.name: Invalid value: "..": may not be '..'`},
		"unknown subject": {good, to(rbacv1.Subject{Kind: "Pod", Name: "x"}), true,
			`subjects[0].kind: Unsupported value: "Pod": supported values: "ServiceAccount", "User", "Group"`},
		"account of a group": {good, to(rbacv1.Subject{Kind: "ServiceAccount", APIGroup: "x", Name: "a", Namespace: "n"}), true,
			`subjects[0].apiGroup: Unsupported value: "x": supported values: ""`},
		"account without a namespace": {good, to(rbacv1.Subject{Kind: "ServiceAccount", Name: "a"}), false, `subjects[0].namespace: Required value`},
		"account of this namespace":   {good, to(rbacv1.Subject{Kind: "ServiceAccount", Name: "a"}), true, ""},
		"bad account": {good, to(rbacv1.Subject{Kind: "ServiceAccount", Name: "A_", Namespace: "n"}), true,
			`subjects[0].name: Invalid value: "A_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
		"user without name": {good, to(rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName}), true,
			"subjects[0].name: Required value\nsubjects[0].name: Invalid value: \"\": user name cannot be empty"},
		"group of no API group": {good, to(rbacv1.Subject{Kind: "Group", Name: "g"}), true,
			`subjects[0].apiGroup: Unsupported value: "": supported values: "rbac.authorization.k8s.io"`},
	} {
		t.Run(name, func(t *testing.T) {
			kinds := []string{"Role", "ClusterRole"}
			if got := texts(rbac.ValidateBinding(tc.ref, tc.subjects, tc.namespaced, kinds...)); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestDefaultBinding(t *testing.T) {
	ref := rbacv1.RoleRef{Kind: "Role", Name: "r"}
	subjects := []rbacv1.Subject{{Kind: "User", Name: "u"}, {Kind: "Group", Name: "g"}, {Kind: "ServiceAccount", Name: "s"}, {Kind: "User", APIGroup: "x", Name: "v"}}
	rbac.DefaultBinding(&ref, subjects)
	if ref.APIGroup != rbacv1.GroupName {
		t.Errorf("roleRef.apiGroup = %q", ref.APIGroup)
	}
	for i, want := range []string{rbacv1.GroupName, rbacv1.GroupName, "", "x"} {
		if subjects[i].APIGroup != want {
			t.Errorf("subjects[%d].apiGroup = %q, want %q", i, subjects[i].APIGroup, want)
		}
	}
}
