package rbac_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/rbac"
)

// holder has rules, and may use the verbs bind and escalate where verbs says so.
type holder struct {
	rules []rbacv1.PolicyRule
	err   error
	verbs map[string]bool // verb, resource, name and namespace
}

func (h holder) Rules(context.Context, user.Info, string) ([]rbacv1.PolicyRule, error) {
	return h.rules, h.err
}

func (h holder) RoleRules(_ context.Context, ref rbacv1.RoleRef, _ string) ([]rbacv1.PolicyRule, error) {
	switch ref.Name {
	case "reader":
		return rules("get", "pods"), nil
	case "writer":
		return rules("update", "pods"), nil
	}
	return nil, apierrors.NewNotFound(rbacv1.Resource("clusterroles"), ref.Name)
}

func (h holder) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if h.verbs[strings.Join([]string{a.GetVerb(), a.GetAPIGroup(), a.GetResource(), a.GetName(), a.GetNamespace()}, " ")] {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", errors.New("not today")
}

func rules(verb string, resources ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{""}, Resources: resources}}
}

func as(resource, name, namespace string) context.Context {
	ctx := request.WithUser(context.Background(), &user.DefaultInfo{Name: "ann", Groups: []string{"devs", "system:authenticated"}})
	ctx = request.WithNamespace(ctx, namespace)
	return request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, APIGroup: rbacv1.GroupName, Resource: resource, Name: name, Namespace: namespace})
}

const attempt = "user \"ann\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"

func TestCheckRole(t *testing.T) {
	for name, tc := range map[string]struct {
		holder holder
		rules  []rbacv1.PolicyRule
		want   string // "" lets it pass
	}{
		"held":      {holder{rules: rules("get", "pods", "secrets")}, rules("get", "pods"), ""},
		"nothing":   {holder{}, nil, ""},
		"all held":  {holder{rules: rules("*", "*")}, rules("get", "pods", "pods/log"), ""},
		"one lacks": {holder{rules: rules("get", "pods")}, rules("get", "pods", "secrets"), attempt + `{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`},
		"verbs are joined, lines sorted": {holder{}, append(rules("get", "secrets", "pods"), rules("list", "secrets")...),
			attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}` + "\n" + `{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}`},
		"names and paths": {holder{rules: rules("get", "secrets/x")}, []rbacv1.PolicyRule{
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"b", "a"}},
			{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}},
		}, attempt + `{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}` + "\n" +
			`{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}` + "\n" + `{NonResourceURLs:["/metrics"], Verbs:["get"]}`},
		"named is not all": {holder{rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"a"}}}},
			rules("get", "secrets"), attempt + `{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`},
		"star is not a sum": {holder{rules: append(rules("get", "pods"), rules("list", "pods")...)}, rules("*", "pods"),
			attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["*"]}`},
		"incomplete rules are told": {holder{err: errors.New("role gone")}, rules("get", "pods"),
			attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}; resolution errors: [role gone]`},
		"may escalate":           {holder{verbs: map[string]bool{"escalate rbac.authorization.k8s.io roles r n": true}}, rules("get", "pods"), ""},
		"may escalate elsewhere": {holder{verbs: map[string]bool{"escalate rbac.authorization.k8s.io roles r m": true}}, rules("get", "pods"), attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			access := rbac.Access{Authorizer: tc.holder, Rules: tc.holder}
			refused(t, access.CheckRole(as("roles", "r", "n"), "roles", "r", tc.rules), `roles.rbac.authorization.k8s.io "r" is forbidden: `, tc.want)
		})
	}
}

func TestCheckBinding(t *testing.T) {
	for name, tc := range map[string]struct {
		holder    holder
		role      string
		namespace string
		want      string
	}{
		"held":                   {holder{rules: rules("get", "pods")}, "reader", "n", ""},
		"not held":               {holder{rules: rules("get", "pods")}, "writer", "n", attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["update"]}`},
		"may bind":               {holder{verbs: map[string]bool{"bind rbac.authorization.k8s.io clusterroles writer n": true}}, "writer", "n", ""},
		"may bind elsewhere":     {holder{verbs: map[string]bool{"bind rbac.authorization.k8s.io clusterroles writer m": true}}, "writer", "n", attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["update"]}`},
		"may bind in one only":   {holder{verbs: map[string]bool{"bind rbac.authorization.k8s.io clusterroles writer n": true}}, "writer", "", attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["update"]}`},
		"escalating is not bind": {holder{verbs: map[string]bool{"escalate rbac.authorization.k8s.io clusterroles writer n": true}}, "writer", "n", attempt + `{APIGroups:[""], Resources:["pods"], Verbs:["update"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			access := rbac.Access{Authorizer: tc.holder, Rules: tc.holder}
			err := access.CheckBinding(as("rolebindings", "b", tc.namespace), "rolebindings", "b", tc.namespace,
				rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: tc.role})
			refused(t, err, `rolebindings.rbac.authorization.k8s.io "b" is forbidden: `, tc.want)
		})
	}
	access := rbac.Access{Authorizer: holder{}, Rules: holder{}}
	err := access.CheckBinding(as("rolebindings", "b", "n"), "rolebindings", "b", "n", rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "x"})
	if !apierrors.IsNotFound(err) {
		t.Errorf("role that is not there: %v, want NotFound", err)
	}
}

func TestCheckAggregation(t *testing.T) {
	admin := holder{rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
		{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
	}}
	const want = "must have cluster-admin privileges to use the aggregationRule"
	for name, tc := range map[string]struct {
		holder holder
		want   string
	}{
		"admin":        {admin, ""},
		"only objects": {holder{rules: admin.rules[:1]}, want},
		"nobody":       {holder{}, want},
		"may escalate": {holder{verbs: map[string]bool{"escalate rbac.authorization.k8s.io clusterroles c ": true}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			access := rbac.Access{Authorizer: tc.holder, Rules: tc.holder}
			refused(t, access.CheckAggregation(as("clusterroles", "c", ""), "c"), `clusterroles.rbac.authorization.k8s.io "c" is forbidden: `, tc.want)
		})
	}
}

func refused(t *testing.T, err error, prefix, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if !apierrors.IsForbidden(err) || err.Error() != prefix+want {
		t.Errorf("err = %v\nwant %s", err, prefix+want)
	}
}

// TestRulesWithManyPartsAreNotTakenApart gives a rule of a few kilobytes that has
// billions of parts.
func TestRulesWithManyPartsAreNotTakenApart(t *testing.T) {
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = "x" + strings.Repeat("y", i%50) + string(rune('a'+i%26))
		}
		return out
	}
	bomb := []rbacv1.PolicyRule{{Verbs: names(500), APIGroups: names(500), Resources: names(500), ResourceNames: names(500)}}
	ctx := as("roles", "r", "ns")
	for name, tc := range map[string]struct {
		held, rules []rbacv1.PolicyRule
		want        string
	}{
		"a bomb":             {rules("get", "pods"), bomb, "combine too many verbs, resources and names"},
		"held by its like":   {bomb, bomb, ""},
		"held as everything": {[]rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}, bomb, ""},
		"many rules":         {repeat(rules("list", "pods")[0], 10_000), repeat(rules("get", "pods")[0], 10_000), "combine too many"},
		"many held":          {repeat(rules("list", "pods")[0], 10_000), rules("get", "pods"), "not currently held"},
	} {
		began := time.Now()
		err := rbac.Access{Authorizer: holder{}, Rules: holder{rules: tc.held}}.CheckRole(ctx, "roles", "r", tc.rules)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if tc.want == "" && err != nil || tc.want != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %.300v, want %q", name, err, tc.want)
		}
	}
}

func repeat(r rbacv1.PolicyRule, n int) []rbacv1.PolicyRule {
	return slices.Repeat([]rbacv1.PolicyRule{r}, n)
}
