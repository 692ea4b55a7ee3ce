package resourcequota

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/run"
	"laterna.dev/laterna/internal/registry/core/limits/usage"
)

func commits(e env.Env) run.Commit[*corev1.ResourceQuota] {
	return func(ctx context.Context, before, after *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
		return run.Commits(e, e.Client.CoreV1().ResourceQuotas(after.Namespace).UpdateStatus)(ctx, before, after)
	}
}

// reconcile counts what is used of a quota.
func (c *Controller) reconcile(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil // not one of ours
	}
	if err := c.monitor(namespace); err != nil {
		return err
	}
	q, err := c.quotas.ResourceQuotas(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading quota: %w", err)
	}
	after := q.DeepCopy()
	var counting error
	after.Status, counting = c.count(ctx, q)
	_, err = c.write(ctx, q, after)
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return errors.Join(counting, err)
}

// monitor follows what the quotas of a namespace limit, and nothing else.
func (c *Controller) monitor(namespace string) error {
	all, err := c.quotas.ResourceQuotas(namespace).List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing quotas: %w", err)
	}
	limited := map[schema.GroupResource]bool{}
	for _, q := range all {
		for _, r := range resources(q.Spec.Hard) {
			limited[r] = true
		}
	}
	return c.monitors.set(namespace, limited)
}

// count returns the status of a quota. What cannot be counted stays as it was.
func (c *Controller) count(ctx context.Context, q *corev1.ResourceQuota) (corev1.ResourceQuotaStatus, error) {
	list := func(r schema.GroupResource, namespace string) ([]runtime.Object, error) {
		return c.list(ctx, r, namespace)
	}
	registry := generic.NewRegistry(usage.Evaluators(list, c.config.Wall))
	for _, r := range resources(q.Spec.Hard) {
		if registry.Get(r) == nil && c.monitors.known(r) {
			registry.Add(generic.NewObjectCountEvaluator(r, func(namespace string) ([]runtime.Object, error) { return list(r, namespace) }, ""))
		}
	}
	used, err := quota.CalculateUsage(q.Namespace, q.Spec.Scopes, q.Spec.Hard, registry, q.Spec.ScopeSelector)
	if err != nil {
		err = fmt.Errorf("counting what is used: %w", err)
	}
	all := quota.Add(corev1.ResourceList{}, q.Status.Used)
	for name, amount := range used {
		all[name] = amount
	}
	return corev1.ResourceQuotaStatus{Hard: q.Spec.Hard.DeepCopy(), Used: quota.Mask(all, quota.ResourceNames(q.Spec.Hard))}, err
}

// list returns the objects of a resource in a namespace, from a cache where there is one.
func (c *Controller) list(ctx context.Context, r schema.GroupResource, namespace string) ([]runtime.Object, error) {
	switch r {
	case corev1.Resource("pods"):
		return objects(c.pods.Pods(namespace).List(labels.Everything()))
	case corev1.Resource("services"):
		return objects(c.services.Services(namespace).List(labels.Everything()))
	case corev1.Resource("persistentvolumeclaims"):
		return objects(c.claims.PersistentVolumeClaims(namespace).List(labels.Everything()))
	}
	return c.monitors.list(ctx, r, namespace)
}

func objects[T runtime.Object](list []T, err error) ([]runtime.Object, error) {
	all := make([]runtime.Object, len(list))
	for i, o := range list {
		all[i] = o
	}
	return all, err
}

// sameAllocation tells whether containers of a pod still have what they had: a pod is
// charged with what it is being resized from, too.
func sameAllocation(before, now *corev1.Pod) bool {
	return equality.Semantic.DeepEqual(allocated(before), allocated(now))
}

func allocated(p *corev1.Pod) (all []corev1.ResourceList) {
	for _, c := range p.Status.ContainerStatuses {
		all = append(all, c.AllocatedResources)
		if c.Resources != nil {
			all = append(all, c.Resources.Requests, c.Resources.Limits)
		}
	}
	return all
}
