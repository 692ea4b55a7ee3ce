package bootstrap

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Sets of verbs in the tables.
const (
	read      = "get list watch"
	readPatch = "get list watch update patch"
	write     = "create update patch delete deletecollection"
	readWrite = read + " " + write
)

// clusterRole is one line of a table. aggregatesTo and aggregate are the suffixes
// of the labels by which the roles admin, edit and view are composed.
type clusterRole struct {
	name                    string
	aggregatesTo, aggregate string
	rules                   []rbacv1.PolicyRule
}

const aggregateLabel = "rbac.authorization.k8s.io/aggregate-to-"

// on is a rule for resources; every argument is a list separated by blanks, and
// "core" is the group of core/v1. Values are sorted, as upstream stores them.
func on(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	g := sorted(groups)
	for i := range g {
		if g[i] == "core" {
			g[i] = ""
		}
	}
	slices.Sort(g)
	return rbacv1.PolicyRule{Verbs: sorted(verbs), APIGroups: g, Resources: sorted(resources), ResourceNames: names}
}

// at is a rule for paths outside the API groups.
func at(verbs, paths string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: sorted(verbs), NonResourceURLs: sorted(paths)}
}

func sorted(list string) []string {
	out := strings.Fields(list)
	slices.Sort(out)
	return out
}

// events lets a component report what it does.
func events() rbacv1.PolicyRule {
	return on("create update patch", "core events.k8s.io", "events")
}

// metadata is that of every default object.
func metadata(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:   namespace,
		Name:        name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

// build turns the table into objects and composes the aggregated ones.
func build(table []clusterRole) []*rbacv1.ClusterRole {
	out := make([]*rbacv1.ClusterRole, 0, len(table))
	for _, r := range table {
		o := &rbacv1.ClusterRole{ObjectMeta: metadata("", r.name), Rules: r.rules}
		if r.aggregatesTo != "" {
			o.Labels[aggregateLabel+r.aggregatesTo] = "true"
		}
		if r.aggregate != "" {
			o.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
				{MatchLabels: map[string]string{aggregateLabel + r.aggregate: "true"}},
			}}
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range []string{"view", "edit", "admin"} {
		compose(out, name)
	}
	return out
}

// compose fills in the rules of an aggregated role from those that it selects.
func compose(all []*rbacv1.ClusterRole, name string) {
	i := slices.IndexFunc(all, func(r *rbacv1.ClusterRole) bool { return r.Name == name })
	selector := labels.SelectorFromSet(all[i].AggregationRule.ClusterRoleSelectors[0].MatchLabels)
	for _, r := range all {
		if r.Name == name || !selector.Matches(labels.Set(r.Labels)) {
			continue
		}
		all[i].Rules = append(all[i].Rules, lacking(all[i].Rules, r.Rules)...)
	}
}

// binding gives a role to groups or users, who are listed as "Kind name" or
// "ServiceAccount namespace/name".
func subjects(list ...string) []rbacv1.Subject {
	var out []rbacv1.Subject
	for _, s := range list {
		kind, name, _ := strings.Cut(s, " ")
		if namespace, account, ok := strings.Cut(name, "/"); ok && kind == rbacv1.ServiceAccountKind {
			out = append(out, rbacv1.Subject{Kind: kind, Namespace: namespace, Name: account})
			continue
		}
		out = append(out, rbacv1.Subject{Kind: kind, APIGroup: rbacv1.GroupName, Name: name})
	}
	return out
}

func clusterBinding(name, role string, to ...string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metadata("", name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects(to...),
	}
}

func roleBinding(name, role string, to ...string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metadata(metav1.NamespaceSystem, name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   subjects(to...),
	}
}

func systemRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metadata(metav1.NamespaceSystem, name), Rules: rules}
}
