// Package clusterrole is the storage of ClusterRole: what may be done in the whole
// cluster, or in the namespace of the binding that names it.
//
// Filling in the rules of an aggregated role is left to
// internal/controller/clusterroleaggregation.
package clusterrole

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/rbac"
	"laterna.dev/laterna/internal/registry/resource"
)

// NewStorage returns the storage of cluster roles by path.
func NewStorage(env resource.Env, access rbac.Access) (map[string]rest.Storage, error) {
	st, err := rbac.NewStorage(resource.Definition[*rbacv1.ClusterRole]{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Plural:       "clusterroles",
		Singular:     "clusterrole",
		New:          func() *rbacv1.ClusterRole { return &rbacv1.ClusterRole{} },
		NewList:      func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		Columns:      rbac.RoleColumns[*rbacv1.ClusterRole](),
		Rules: resource.Rules[*rbacv1.ClusterRole]{
			ValidName:           rbac.ValidName,
			Validate:            validate,
			ValidateUpdate:      func(ctx context.Context, obj, _ *rbacv1.ClusterRole) field.ErrorList { return validate(ctx, obj) },
			AllowCreateOnUpdate: true,
		},
	}, env, access.View, func(ctx context.Context, obj, old *rbacv1.ClusterRole) error {
		if err := access.CheckRole(ctx, "clusterroles", obj.Name, obj.Rules); err != nil {
			return err
		}
		if aggregates(obj) || aggregates(old) {
			return access.CheckAggregation(ctx, obj.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]rest.Storage{"clusterroles": st}, nil
}

func aggregates(r *rbacv1.ClusterRole) bool {
	return r.AggregationRule != nil && len(r.AggregationRule.ClusterRoleSelectors) > 0
}

func validate(_ context.Context, obj *rbacv1.ClusterRole) field.ErrorList {
	errs := rbac.ValidateRules(obj.Rules, false)
	if obj.AggregationRule == nil {
		return errs
	}
	p := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(obj.AggregationRule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(p, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i, s := range obj.AggregationRule.ClusterRoleSelectors {
		errs = append(errs, metavalidation.ValidateLabelSelector(&s, metavalidation.LabelSelectorValidationOptions{}, p.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(&s); err != nil {
			errs = append(errs, field.Invalid(p.Index(i), s, "invalid label selector."))
		}
	}
	return errs
}
