package clusterroleaggregation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"laterna.dev/laterna/internal/controller/run"
)

// reconciler decides about one role; its fields read from a cache and write to the
// API.
type reconciler struct {
	list   func() ([]*rbacv1.ClusterRole, error)
	update run.Commit[*rbacv1.ClusterRole]
}

// reconcile gives the role name the rules of those that it selects.
func (r reconciler) reconcile(ctx context.Context, name string) error {
	all, err := r.list()
	if err != nil {
		return fmt.Errorf("listing cluster roles: %w", err)
	}
	i := slices.IndexFunc(all, func(o *rbacv1.ClusterRole) bool { return o.Name == name })
	if i < 0 || all[i].AggregationRule == nil {
		return nil
	}
	rules, err := compose(all[i], all)
	if err != nil {
		return err
	}
	changed := all[i].DeepCopy()
	changed.Rules = rules
	if _, err := r.update(ctx, all[i], changed); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing rules of cluster role: %w", err)
	}
	return nil
}

// compose returns the rules that role selects from all: selector by selector, the
// roles of each in order of their names, each rule once.
func compose(role *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	var rules []rbacv1.PolicyRule
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, fmt.Errorf("reading aggregationRule.clusterRoleSelectors[%d]: %w", i, err)
		}
		for _, o := range sorted {
			if o.Name == role.Name || !selector.Matches(labels.Set(o.Labels)) {
				continue
			}
			for _, rule := range o.Rules {
				same := func(have rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(have, rule) }
				if !slices.ContainsFunc(rules, same) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules, nil
}
