package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// everything is what cluster-admin has.
var everything = []rbacv1.PolicyRule{
	{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
	{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
}

// CheckRole refuses rules that the user does not hold, unless the user may escalate
// the kind: resource is "roles" or "clusterroles", name that of the role.
func (a Access) CheckRole(ctx context.Context, resource, name string, rules []rbacv1.PolicyRule) error {
	if a.mayEscalate(ctx) {
		return nil
	}
	return a.refuse(ctx, resource, name, rules)
}

// CheckAggregation refuses an aggregation rule to anyone but cluster admins: it can
// gather any rule, also later.
func (a Access) CheckAggregation(ctx context.Context, name string) error {
	if a.mayEscalate(ctx) {
		return nil
	}
	if a.confirm(ctx, everything) != nil {
		return apierrors.NewForbidden(rbacv1.Resource("clusterroles"), name, errors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

// CheckBinding refuses a binding to a role with rules that the user does not hold,
// unless the user may bind that role. resource and name are the binding's,
// namespace is "" for a cluster role binding.
func (a Access) CheckBinding(ctx context.Context, resource, name, namespace string, ref rbacv1.RoleRef) error {
	if a.mayBind(ctx, ref, namespace) {
		return nil
	}
	rules, err := a.Rules.RoleRules(ctx, ref, namespace)
	if err != nil {
		return err
	}
	return a.refuse(ctx, resource, name, rules)
}

// privileged reports whether the request is not checked at all: it is one of
// system:masters, or made by the server itself without a user.
func privileged(ctx context.Context) bool {
	u, ok := request.UserFrom(ctx)
	return !ok || slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}

func (a Access) mayEscalate(ctx context.Context) bool {
	u, hasUser := request.UserFrom(ctx)
	info, hasInfo := request.RequestInfoFrom(ctx)
	if !hasUser || !hasInfo || !info.IsResourceRequest || info.APIGroup != rbacv1.GroupName || info.Resource != "roles" && info.Resource != "clusterroles" {
		return false
	}
	return a.allows(ctx, authorizer.AttributesRecord{
		User: u, Verb: "escalate", APIGroup: info.APIGroup, APIVersion: "*",
		Resource: info.Resource, Name: info.Name, Namespace: info.Namespace, ResourceRequest: true,
	})
}

func (a Access) mayBind(ctx context.Context, ref rbacv1.RoleRef, namespace string) bool {
	u, ok := request.UserFrom(ctx)
	if !ok || ref.Kind != "ClusterRole" && ref.Kind != "Role" {
		return false
	}
	return a.allows(ctx, authorizer.AttributesRecord{
		User: u, Verb: "bind", APIGroup: ref.APIGroup, APIVersion: "*",
		Resource: strings.ToLower(ref.Kind) + "s", Name: ref.Name, Namespace: namespace, ResourceRequest: true,
	})
}

// allows asks the authorizer; an error counts as no.
func (a Access) allows(ctx context.Context, attrs authorizer.AttributesRecord) bool {
	decision, _, _ := a.Authorizer.Authorize(ctx, attrs)
	return decision == authorizer.DecisionAllow
}

// refuse wraps the outcome of confirm for the client.
func (a Access) refuse(ctx context.Context, resource, name string, rules []rbacv1.PolicyRule) error {
	if err := a.confirm(ctx, rules); err != nil {
		return apierrors.NewForbidden(rbacv1.Resource(resource), name, err)
	}
	return nil
}

// confirm returns an error that names the rules which the user of ctx lacks in the
// namespace of ctx, nil if none.
func (a Access) confirm(ctx context.Context, rules []rbacv1.PolicyRule) error {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return errors.New("no user on context")
	}
	held, resolveErr := a.Rules.Rules(ctx, u, request.NamespaceValue(ctx))
	covered, lacking, ok := covers(held, rules)
	switch {
	case covered:
		return nil
	case !ok:
		return fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions: %s", u.GetName(), u.GetGroups(), tooMany)
	}
	var lines []string
	for _, r := range compact(lacking) {
		lines = append(lines, format(r))
	}
	slices.Sort(lines)
	text := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		u.GetName(), u.GetGroups(), strings.Join(slices.Compact(lines), "\n"))
	if resolveErr != nil {
		text += fmt.Sprintf("; resolution errors: %v", []error{resolveErr})
	}
	return errors.New(text)
}

// compact joins the verbs of rules for the same resource. Each rule has one verb,
// one resource and at most one name, as Covers returns them.
func compact(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	at := map[[2]string]int{}
	for _, r := range rules {
		if len(r.ResourceNames) > 0 || len(r.NonResourceURLs) > 0 {
			out = append(out, r)
			continue
		}
		key := [2]string{r.APIGroups[0], r.Resources[0]}
		if i, ok := at[key]; ok {
			out[i].Verbs = append(out[i].Verbs, r.Verbs...)
			continue
		}
		at[key] = len(out)
		r.Verbs = slices.Clone(r.Verbs)
		out = append(out, r)
	}
	return out
}

// format prints a rule as upstream does in refusals.
func format(r rbacv1.PolicyRule) string {
	var parts []string
	for _, f := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", r.APIGroups},
		{"Resources", r.Resources},
		{"NonResourceURLs", r.NonResourceURLs},
		{"ResourceNames", r.ResourceNames},
		{"Verbs", r.Verbs},
	} {
		if len(f.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", f.name, f.values))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
