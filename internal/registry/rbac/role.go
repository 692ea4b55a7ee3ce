package rbac

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Role is what may be done in one namespace.
func Role() Guarded[*rbacv1.Role] {
	return Guarded[*rbacv1.Role]{
		Definition: resource.Definition[*rbacv1.Role]{
			GroupVersion: rbacv1.SchemeGroupVersion,
			Plural:       "roles",
			Singular:     "role",
			Namespaced:   true,
			New:          func() *rbacv1.Role { return &rbacv1.Role{} },
			NewList:      func() runtime.Object { return &rbacv1.RoleList{} },
			Columns:      roleColumns[*rbacv1.Role](),
			Rules: rules(func(obj, _ *rbacv1.Role) field.ErrorList {
				return ValidateRules(obj.Rules, true)
			}),
		},
		Check: func(ctx context.Context, a Access, obj, _ *rbacv1.Role) error {
			return a.CheckRole(ctx, "roles", obj.Name, obj.Rules)
		},
	}
}

// ClusterRole is what may be done in the whole cluster, or in the namespace of the
// binding that names it. Filling in the rules of an aggregated role is left to
// internal/controller/clusterroleaggregation.
func ClusterRole() Guarded[*rbacv1.ClusterRole] {
	return Guarded[*rbacv1.ClusterRole]{
		Definition: resource.Definition[*rbacv1.ClusterRole]{
			GroupVersion: rbacv1.SchemeGroupVersion,
			Plural:       "clusterroles",
			Singular:     "clusterrole",
			New:          func() *rbacv1.ClusterRole { return &rbacv1.ClusterRole{} },
			NewList:      func() runtime.Object { return &rbacv1.ClusterRoleList{} },
			Columns:      roleColumns[*rbacv1.ClusterRole](),
			Rules: rules(func(obj, _ *rbacv1.ClusterRole) field.ErrorList {
				return append(ValidateRules(obj.Rules, false), validateAggregation(obj.AggregationRule)...)
			}),
		},
		Check: func(ctx context.Context, a Access, obj, old *rbacv1.ClusterRole) error {
			if err := a.CheckRole(ctx, "clusterroles", obj.Name, obj.Rules); err != nil {
				return err
			}
			if aggregates(obj) || aggregates(old) {
				return a.CheckAggregation(ctx, obj.Name)
			}
			return nil
		},
	}
}

func aggregates(r *rbacv1.ClusterRole) bool {
	return r.AggregationRule != nil && len(r.AggregationRule.ClusterRoleSelectors) > 0
}

func validateAggregation(rule *rbacv1.AggregationRule) field.ErrorList {
	if rule == nil {
		return nil
	}
	var errs field.ErrorList
	p := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(rule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(p, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i, s := range rule.ClusterRoleSelectors {
		errs = append(errs, metavalidation.ValidateLabelSelector(&s, metavalidation.LabelSelectorValidationOptions{}, p.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(&s); err != nil {
			errs = append(errs, field.Invalid(p.Index(i), s, "invalid label selector."))
		}
	}
	return errs
}
