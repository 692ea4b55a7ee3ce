package bootstrap

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// protected reports whether somebody asked that the object be left alone.
func protected(m metav1.Object) bool {
	return m.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false"
}

// mergeMeta gives have the labels and annotations that it lacks, and reports
// whether there were any. Values that somebody changed stay.
func mergeMeta(have, want metav1.Object) bool {
	labels, changed := mergeMap(have.GetLabels(), want.GetLabels())
	annotations, changed2 := mergeMap(have.GetAnnotations(), want.GetAnnotations())
	have.SetLabels(labels)
	have.SetAnnotations(annotations)
	return changed || changed2
}

func mergeMap(have, want map[string]string) (map[string]string, bool) {
	out, changed := have, false
	for k, v := range want {
		if _, ok := have[k]; ok {
			continue
		}
		if !changed {
			out, changed = maps.Clone(have), true
			if out == nil {
				out = map[string]string{}
			}
		}
		out[k] = v
	}
	return out, changed
}

// mergeRules appends the rules of want that have does not cover.
func mergeRules(have *[]rbacv1.PolicyRule, want []rbacv1.PolicyRule) bool {
	out, changed := slices.Clone(*have), false
	for _, r := range want {
		if covered, _ := validation.Covers(*have, []rbacv1.PolicyRule{r}); !covered {
			out, changed = append(out, r), true
		}
	}
	*have = out
	return changed
}

func mergeSelectors(have **rbacv1.AggregationRule, want *rbacv1.AggregationRule) bool {
	if want == nil {
		return false
	}
	out, changed := &rbacv1.AggregationRule{}, false
	if *have != nil {
		out = (*have).DeepCopy()
	}
	for _, s := range want.ClusterRoleSelectors {
		if !slices.ContainsFunc(out.ClusterRoleSelectors, func(o metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(o, s) }) {
			out.ClusterRoleSelectors, changed = append(out.ClusterRoleSelectors, s), true
		}
	}
	*have = out
	return changed
}

func mergeSubjects(have *[]rbacv1.Subject, want []rbacv1.Subject) bool {
	changed := false
	for _, s := range want {
		if !slices.Contains(*have, s) {
			*have, changed = append(slices.Clone(*have), s), true
		}
	}
	return changed
}

// lacking returns the rules of more that are not in have word for word.
func lacking(have, more []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range more {
		same := func(o rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(o, r) }
		if !slices.ContainsFunc(have, same) && !slices.ContainsFunc(out, same) {
			out = append(out, r)
		}
	}
	return out
}

// The functions below bring a stored object up to what is wanted and report
// whether it changed; recreate is set when only a new object will do.

func mergeClusterRole(have, want *rbacv1.ClusterRole) (changed, recreate bool) {
	changed = mergeMeta(have, want)
	if want.AggregationRule != nil {
		// The rules of an aggregated role are the controller's business.
		return mergeSelectors(&have.AggregationRule, want.AggregationRule) || changed, false
	}
	return mergeRules(&have.Rules, want.Rules) || changed, false
}

func mergeRole(have, want *rbacv1.Role) (changed, recreate bool) {
	changed = mergeMeta(have, want)
	return mergeRules(&have.Rules, want.Rules) || changed, false
}

func mergeClusterBinding(have, want *rbacv1.ClusterRoleBinding) (changed, recreate bool) {
	changed = mergeMeta(have, want)
	return mergeSubjects(&have.Subjects, want.Subjects) || changed, have.RoleRef != want.RoleRef
}

func mergeRoleBinding(have, want *rbacv1.RoleBinding) (changed, recreate bool) {
	changed = mergeMeta(have, want)
	return mergeSubjects(&have.Subjects, want.Subjects) || changed, have.RoleRef != want.RoleRef
}
