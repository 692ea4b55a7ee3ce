package bootstrap

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Grant is what the default roles may do with a kind that those of Kubernetes do not
// know: verbs, separated by blanks. What View may, edit and admin may too; Node goes to
// system:node.
type Grant struct {
	Resource         schema.GroupResource
	View, Edit, Node string
}

// granted returns a rule for each grant that has verbs for a role.
func granted(grants []Grant, verbs func(Grant) string) []rbacv1.PolicyRule {
	rules := []rbacv1.PolicyRule{}
	for _, g := range grants {
		if v := verbs(g); v != "" {
			rules = append(rules, on(v, groupName(g.Resource.Group), g.Resource.Resource))
		}
	}
	return rules
}

// groupName is what on calls a group.
func groupName(group string) string {
	if group == "" {
		return "core"
	}
	return group
}
