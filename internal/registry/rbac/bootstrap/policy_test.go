package bootstrap

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-helpers/auth/rbac/validation"

	"laterna.dev/laterna/internal/registry/rbac"
)

// grants are for kinds that Kubernetes does not have.
var grants = []Grant{
	{Resource: schema.GroupResource{Group: "example.com", Resource: "views"}, View: read, Edit: "delete deletecollection", Node: "get create"},
	{Resource: schema.GroupResource{Resource: "podtemplates"}, View: read},
	{Resource: schema.GroupResource{Group: "example.com", Resource: "settings"}, Node: read},
}

func role(t *testing.T, name string) *rbacv1.ClusterRole {
	t.Helper()
	all := clusterRoles(grants)
	i := slices.IndexFunc(all, func(r *rbacv1.ClusterRole) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("no role %s", name)
	}
	return all[i]
}

func TestPolicyIsValid(t *testing.T) {
	names := map[string]bool{}
	for _, r := range clusterRoles(grants) {
		if errs := rbac.ValidateRules(r.Rules, false); len(errs) > 0 {
			t.Errorf("ClusterRole %s: %v", r.Name, errs)
		}
		if names[r.Name] {
			t.Errorf("ClusterRole %s is there twice", r.Name)
		}
		names[r.Name] = true
		if r.Labels["kubernetes.io/bootstrapping"] != "rbac-defaults" || r.Annotations[rbacv1.AutoUpdateAnnotationKey] != "true" {
			t.Errorf("ClusterRole %s: labels %v, annotations %v", r.Name, r.Labels, r.Annotations)
		}
		for _, rule := range r.Rules {
			for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources, rule.NonResourceURLs} {
				if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
					t.Errorf("ClusterRole %s: %q is not sorted and unique", r.Name, list)
				}
			}
		}
	}
	for _, b := range clusterBindings(Options{PublicDiscovery: true}) {
		if errs := rbac.ValidateBinding(b.RoleRef, b.Subjects, false, "ClusterRole"); len(errs) > 0 {
			t.Errorf("ClusterRoleBinding %s: %v", b.Name, errs)
		}
		if !names[b.RoleRef.Name] {
			t.Errorf("ClusterRoleBinding %s: no role %s", b.Name, b.RoleRef.Name)
		}
	}
	roles := map[string]bool{}
	for _, r := range systemRoles() {
		roles[r.Name] = true
		if errs := rbac.ValidateRules(r.Rules, true); len(errs) > 0 || r.Namespace != "kube-system" {
			t.Errorf("Role %s/%s: %v", r.Namespace, r.Name, errs)
		}
	}
	for _, b := range systemBindings() {
		if errs := rbac.ValidateBinding(b.RoleRef, b.Subjects, true, "Role", "ClusterRole"); len(errs) > 0 || !roles[b.RoleRef.Name] {
			t.Errorf("RoleBinding %s: %v, role %s", b.Name, errs, b.RoleRef.Name)
		}
	}
}

func TestUserRolesBuildOnEachOther(t *testing.T) {
	admin, edit, view := role(t, "admin"), role(t, "edit"), role(t, "view")
	for _, tc := range []struct {
		bigger, smaller *rbacv1.ClusterRole
		want            bool
	}{{admin, edit, true}, {edit, view, true}, {role(t, "cluster-admin"), admin, true}, {view, edit, false}, {edit, admin, false}} {
		if got, _ := validation.Covers(tc.bigger.Rules, tc.smaller.Rules); got != tc.want {
			t.Errorf("%s covers %s: %v, want %v", tc.bigger.Name, tc.smaller.Name, got, tc.want)
		}
	}
	for _, name := range []string{"secrets", "pods/exec", "pods/attach", "pods/portforward", "roles"} {
		for _, rule := range view.Rules {
			if slices.Contains(rule.Resources, name) {
				t.Errorf("view may %v %s", rule.Verbs, name)
			}
		}
	}
	for _, rule := range edit.Rules {
		if slices.Contains(rule.APIGroups, rbacv1.GroupName) {
			t.Errorf("edit may %v %v", rule.Verbs, rule.Resources)
		}
	}
}

// TestGrantsReachTheRoles checks that a grant goes to the roles that it names, and to
// those above them.
func TestGrantsReachTheRoles(t *testing.T) {
	for name, want := range map[string][]rbacv1.PolicyRule{
		"laterna.dev:aggregate-to-view": {on(read, "example.com", "views"), on(read, "core", "podtemplates")},
		"laterna.dev:aggregate-to-edit": {on("delete deletecollection", "example.com", "views")},
		"view":                          {on(read, "example.com", "views"), on(read, "core", "podtemplates")},
		"edit":                          {on(read, "example.com", "views"), on("delete deletecollection", "example.com", "views")},
		"admin":                         {on(read, "core", "podtemplates"), on("delete deletecollection", "example.com", "views")},
		"system:node":                   {on("get create", "example.com", "views"), on(read, "example.com", "settings")},
	} {
		if ok, missing := validation.Covers(role(t, name).Rules, want); !ok {
			t.Errorf("%s lacks %v", name, missing)
		}
	}
	for name, never := range map[string]rbacv1.PolicyRule{
		"view":        on("delete", "example.com", "views"),
		"admin":       on("get", "example.com", "settings"),
		"system:node": on("get", "core", "podtemplates"),
	} {
		if ok, _ := validation.Covers(role(t, name).Rules, []rbacv1.PolicyRule{never}); ok {
			t.Errorf("%s may %v", name, never)
		}
	}
}

func TestWhoGetsWhat(t *testing.T) {
	open := map[string][]string{}
	for _, b := range clusterBindings(Options{PublicDiscovery: true}) {
		for _, s := range b.Subjects {
			open[s.Name] = append(open[s.Name], b.RoleRef.Name)
		}
	}
	for who, want := range map[string]string{
		"system:unauthenticated": "laterna.dev:aws system:public-info-viewer system:service-account-issuer-discovery",
		"system:authenticated":   "system:discovery laterna.dev:pages laterna.dev:aws system:basic-user system:public-info-viewer system:service-account-issuer-discovery",
		"system:serviceaccounts": "system:service-account-issuer-discovery system:cluster-trust-bundle-discovery",
		"system:masters":         "cluster-admin",
		"system:monitoring":      "system:monitoring",
		"system:nodes":           "",
	} {
		if got := strings.Join(open[who], " "); got != want {
			t.Errorf("%s has %q, want %q", who, got, want)
		}
	}
	for _, b := range clusterBindings(Options{}) {
		if b.Name == publicDiscovery {
			t.Error("discovery is public although it shall not be")
		}
	}
}

// TestControllersHaveRolesOfTheirOwn keeps each controller to one role of its name, and
// all to what one of them has to do.
func TestControllersHaveRolesOfTheirOwn(t *testing.T) {
	bound := map[string]string{}
	for _, b := range clusterBindings(Options{PublicDiscovery: true}) {
		for _, s := range b.Subjects {
			if s.Namespace == "kube-system" {
				bound[s.Name] += b.RoleRef.Name + " "
			}
		}
	}
	for _, b := range systemBindings() {
		for _, s := range b.Subjects {
			bound[s.Name] += b.RoleRef.Kind + "/" + b.RoleRef.Name + " "
		}
	}
	for _, c := range controllers() {
		want := ""
		if len(c.rules) > 0 {
			want += "system:controller:" + c.name + " "
		}
		if len(c.system) > 0 {
			want += "Role/system:controller:" + c.name + " "
		}
		if bound[c.name] != want || want == "" {
			t.Errorf("%s has %q, want %q", c.name, bound[c.name], want)
		}
		for _, rule := range append(c.rules, c.system...) {
			for _, verb := range []string{"*", "bind", "impersonate", "escalate"} {
				if slices.Contains(rule.Verbs, verb) && (verb != "escalate" || c.name != "clusterrole-aggregation-controller") {
					t.Errorf("%s may %s", c.name, verb)
				}
			}
			everything := c.name == "namespace-controller" || c.name == "generic-garbage-collector" ||
				c.name == "resourcequota-controller" && !slices.ContainsFunc(rule.Verbs, func(verb string) bool { return verb != "list" && verb != "watch" }) // it counts them
			if slices.Contains(rule.Resources, "*") && !everything {
				t.Errorf("%s may %v everything", c.name, rule.Verbs)
			}
			secrets := c.name == "service-account-token-controller" || c.name == "rollout-on-change-controller"
			if slices.Contains(rule.Resources, "secrets") && !secrets {
				t.Errorf("%s may %v Secrets", c.name, rule.Verbs)
			}
		}
	}
	for _, rule := range role(t, scheduler).Rules {
		if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
			t.Errorf("the scheduler may %v %v", rule.Verbs, rule.Resources)
		}
	}
}

func TestMerge(t *testing.T) {
	have := role(t, "system:auth-delegator").DeepCopy()
	want := role(t, "system:auth-delegator")
	if changed, recreate := mergeClusterRole(have, want); changed || recreate {
		t.Error("the same role is changed")
	}
	have.Rules = append(have.Rules[:1], on("get", "core", "pods"))
	have.Labels = map[string]string{"mine": "x"}
	if changed, _ := mergeClusterRole(have, want); !changed {
		t.Error("a role that lacks a rule is not repaired")
	}
	if ok, missing := validation.Covers(have.Rules, append(want.Rules, on("get", "core", "pods"))); !ok {
		t.Errorf("after the repair %v are missing", missing)
	}
	if have.Labels["mine"] != "x" || have.Labels["kubernetes.io/bootstrapping"] == "" {
		t.Errorf("labels = %v", have.Labels)
	}
	aggregated := role(t, "view").DeepCopy()
	aggregated.Rules = nil
	if changed, _ := mergeClusterRole(aggregated, role(t, "view")); changed {
		t.Error("the rules of an aggregated role are not ours to repair")
	}
	aggregated.AggregationRule = nil
	if changed, _ := mergeClusterRole(aggregated, role(t, "view")); !changed || len(aggregated.AggregationRule.ClusterRoleSelectors) != 1 {
		t.Error("a lost aggregation rule is not repaired")
	}
	binding := clusterBinding("b", "view", "User ann")
	if changed, recreate := mergeClusterBinding(binding, clusterBinding("b", "view", "Group ops")); !changed || recreate || len(binding.Subjects) != 2 {
		t.Errorf("subjects after the repair = %v", binding.Subjects)
	}
	if _, recreate := mergeClusterBinding(binding, clusterBinding("b", "edit", "Group ops")); !recreate {
		t.Error("a binding of another role is kept")
	}
}
