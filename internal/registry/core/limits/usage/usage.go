// Package usage counts what objects use of a quota, for admission, which adds what is new,
// and for the controller, which counts all again.
//
// How usage is summed up and compared is the library's (k8s.io/apiserver/pkg/quota/v1); here
// stand what pods, services and claims use, and which of them a scope is about. Of all other
// kinds objects are counted.
package usage

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"

	"laterna.dev/laterna/internal/clock"
)

// List returns the objects of a resource in a namespace.
type List func(r schema.GroupResource, namespace string) ([]runtime.Object, error)

// Evaluators count all kinds that are more than counted, and those with short names. list is
// nil where nothing is counted again.
func Evaluators(list List, wall clock.Wall) []quota.Evaluator {
	in := func(r schema.GroupResource) generic.ListFuncByNamespace {
		return func(namespace string) ([]runtime.Object, error) { return list(r, namespace) }
	}
	all := []quota.Evaluator{pods(in, wall), services(in), claims(in)}
	for _, r := range Aliased() {
		all = append(all, generic.NewObjectCountEvaluator(r, in(r), corev1.ResourceName(r.Resource)))
	}
	return all
}

// Aliased are the resources that are also counted under their own names.
func Aliased() []schema.GroupResource {
	return []schema.GroupResource{corev1.Resource("configmaps"), corev1.Resource("resourcequotas"), corev1.Resource("replicationcontrollers"), corev1.Resource("secrets")}
}

// Ignored are the resources that no quota is about: what is not stored, and events.
func Ignored() map[schema.GroupResource]struct{} {
	return map[schema.GroupResource]struct{}{
		{Resource: "bindings"}: {}, {Resource: "componentstatuses"}: {}, {Resource: "events"}: {}, {Group: "events.k8s.io", Resource: "events"}: {},
		{Group: "authentication.k8s.io", Resource: "tokenreviews"}: {}, {Group: "authentication.k8s.io", Resource: "selfsubjectreviews"}: {},
		{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}: {}, {Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}: {},
		{Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews"}: {}, {Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"}: {},
	}
}

// counted is a kind of which more is counted than objects.
type counted[T runtime.Object] struct {
	resource schema.GroupResource
	list     generic.ListFuncByNamespace
	// named tells whether a name is one of what the kind uses.
	named func(corev1.ResourceName) bool
	// charged tells whether an operation may change what is used; old is nil at a creation.
	charged func(a admission.Attributes, obj, old T) bool
	uses    func(T) corev1.ResourceList
	// in tells whether an object is in a scope; nil where the kind knows none.
	in func(corev1.ScopedResourceSelectorRequirement, T) (bool, error)
	// demands is what must be said of an object whose use of some resources is limited.
	demands func([]corev1.ResourceName, T) error
}

var _ quota.Evaluator = &counted[runtime.Object]{}

func (c *counted[T]) of(obj runtime.Object) (T, error) {
	t, ok := obj.(T)
	if !ok {
		return t, fmt.Errorf("object is a %T, not one of %s", obj, c.resource)
	}
	return t, nil
}

// GroupResource implements quota.Evaluator.
func (c *counted[T]) GroupResource() schema.GroupResource { return c.resource }

// Handles implements quota.Evaluator.
func (c *counted[T]) Handles(a admission.Attributes) bool {
	obj, err := c.of(a.GetObject())
	if err != nil {
		return false
	}
	old, _ := a.GetOldObject().(T)
	if a.GetOperation() == admission.Update && a.GetOldObject() == nil {
		return false
	}
	return c.charged(a, obj, old)
}

// Constraints implements quota.Evaluator.
func (c *counted[T]) Constraints(required []corev1.ResourceName, item runtime.Object) error {
	if c.demands == nil {
		return nil
	}
	t, err := c.of(item)
	if err != nil {
		return err
	}
	return c.demands(required, t)
}

// MatchingResources implements quota.Evaluator.
func (c *counted[T]) MatchingResources(names []corev1.ResourceName) []corev1.ResourceName {
	found := []corev1.ResourceName{}
	for _, n := range names {
		if c.named(n) {
			found = append(found, n)
		}
	}
	return found
}

func (c *counted[T]) scope(selector corev1.ScopedResourceSelectorRequirement, item runtime.Object) (bool, error) {
	if c.in == nil {
		return false, nil
	}
	t, err := c.of(item)
	if err != nil {
		return false, err
	}
	return c.in(selector, t)
}

// Matches implements quota.Evaluator.
func (c *counted[T]) Matches(q *corev1.ResourceQuota, item runtime.Object) (bool, error) {
	return generic.Matches(q, item, c.MatchingResources, c.scope)
}

// MatchingScopes implements quota.Evaluator.
func (c *counted[T]) MatchingScopes(item runtime.Object, scopes []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	found := []corev1.ScopedResourceSelectorRequirement{}
	for _, s := range scopes {
		in, err := c.scope(s, item)
		if err != nil {
			return nil, fmt.Errorf("error on matching scope %v: %w", s, err)
		}
		if in {
			found = append(found, s)
		}
	}
	return found, nil
}

// UncoveredQuotaScopes implements quota.Evaluator.
func (c *counted[T]) UncoveredQuotaScopes(limited, matched []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	uncovered := []corev1.ScopedResourceSelectorRequirement{}
	for _, l := range limited {
		if c.in != nil && !slices.ContainsFunc(matched, func(m corev1.ScopedResourceSelectorRequirement) bool { return m.ScopeName == l.ScopeName }) {
			uncovered = append(uncovered, l)
		}
	}
	return uncovered, nil
}

// Usage implements quota.Evaluator.
func (c *counted[T]) Usage(item runtime.Object) (corev1.ResourceList, error) {
	t, err := c.of(item)
	if err != nil {
		return nil, err
	}
	return c.uses(t), nil
}

// UsageStats implements quota.Evaluator.
func (c *counted[T]) UsageStats(o quota.UsageStatsOptions) (quota.UsageStats, error) {
	return generic.CalculateUsageStats(o, c.list, c.scope, c.Usage)
}

// number is a quantity of objects.
func number(n int) resource.Quantity { return *resource.NewQuantity(int64(n), resource.DecimalSI) }

// count is the name under which objects of a resource are counted.
func count(r schema.GroupResource) corev1.ResourceName {
	return generic.ObjectCountQuotaResourceNameFor(r)
}

func oneOf(names ...corev1.ResourceName) func(corev1.ResourceName) bool {
	return func(n corev1.ResourceName) bool { return slices.Contains(names, n) }
}
