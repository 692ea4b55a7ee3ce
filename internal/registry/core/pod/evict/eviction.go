// Package evict serves pods/eviction: the deletion of a pod that says why, if the pod's
// disruption budget allows it.
//
// How many disruptions a budget allows is counted by internal/controller/disruption. Pods
// themselves are internal/registry/core/pod's.
package evict

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/resource"
)

// Config is what evictions are served with. Every field but Budgets is required.
type Config struct {
	Pods   *resource.Store[*corev1.Pod]
	Status *resource.Subresource[*corev1.Pod]
	// SetCondition puts a condition into a pod's status.
	SetCondition func(p *corev1.Pod, c corev1.PodCondition)
	Budgets      Budgets
	Wall         clock.Wall
}

// Storage serves evictions.
type Storage struct{ Config }

// New returns what serves them.
func New(c Config) *Storage { return &Storage{c} }

var (
	_ rest.NamedCreater             = &Storage{}
	_ rest.GroupVersionKindProvider = &Storage{}
	_ rest.GroupVersionAcceptor     = &Storage{}
)

// New implements rest.Storage.
func (r *Storage) New() runtime.Object { return &policyv1.Eviction{} }

// Destroy implements rest.Storage; the storage of pods owns the connection.
func (r *Storage) Destroy() {}

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (r *Storage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// AcceptsGroupVersion implements rest.GroupVersionAcceptor.
func (r *Storage) AcceptsGroupVersion(gv schema.GroupVersion) bool {
	return gv == policyv1.SchemeGroupVersion
}

// Create implements rest.NamedCreater.
func (r *Storage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, errors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	how, err := deleteOptions(eviction, options)
	if err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopy()); err != nil {
			return nil, err
		}
	}
	p, gone, err := r.evictExempt(ctx, name, how)
	if err != nil {
		return nil, err
	}
	if !gone {
		if failure, err := r.evict(ctx, p, how); failure != nil || err != nil {
			return failure, err
		}
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// evictExempt evicts a pod that no budget counts, and returns any other.
func (r *Storage) evictExempt(ctx context.Context, name string, how *metav1.DeleteOptions) (p *corev1.Pod, gone bool, err error) {
	var other error // no other try mends that
	try := func() error {
		obj, err := r.Pods.Get(ctx, name, &metav1.GetOptions{})
		if err != nil {
			return err
		}
		p = obj.(*corev1.Pod)
		if other = another(p, how); other != nil || !exempt(p) {
			return nil
		}
		options := how
		if p.DeletionTimestamp == nil && !over(p) && unversioned(how) {
			// It may become ready meanwhile, and counts then.
			options = versioned(how, p)
		}
		gone = true
		return r.end(ctx, name, options)
	}
	if !unversioned(how) {
		if err = try(); err == nil {
			err = other
		}
		return p, gone, err
	}
	if err, _ = patiently(ctx, r.Wall, try); err == nil {
		err = other
	}
	return p, gone, err
}

// another tells that the pod is not the one that a client means.
func another(p *corev1.Pod, how *metav1.DeleteOptions) error {
	if how.Preconditions == nil || how.Preconditions.UID == nil || *how.Preconditions.UID == p.UID {
		return nil
	}
	return errors.NewConflict(corev1.Resource("pods"), p.Name, holds(how.Preconditions, p))
}

// evict evicts a pod as its budget allows. A failure that is not an error is answered as
// upstream answers it.
func (r *Storage) evict(ctx context.Context, p *corev1.Pod, how *metav1.DeleteOptions) (failure runtime.Object, err error) {
	budgets, err := r.Budgets.of(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case len(budgets) == 0:
		return nil, r.end(ctx, p.Name, how)
	case len(budgets) > 1:
		return &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		}, nil
	}
	budget := &budgets[0]
	if !uncounted(p, budget) {
		if err := r.spend(ctx, budget, p, dryrun.IsDryRun(how.DryRun)); err != nil {
			return nil, err
		}
		return nil, r.end(ctx, p.Name, how)
	}
	if !unversioned(how) {
		return nil, r.end(ctx, p.Name, how)
	}
	if err = r.end(ctx, p.Name, versioned(how, p)); errors.IsConflict(err) {
		err = beingProcessed(budget.Name) // the pod has changed, and may be ready
	}
	return nil, err
}

// spend takes the eviction out of the budget, in competition with others that do.
func (r *Storage) spend(ctx context.Context, b *policyv1.PodDisruptionBudget, p *corev1.Pod, dry bool) error {
	name, first := b.Name, true
	err, exhausted := patiently(ctx, r.Wall, func() error {
		if !first {
			all, err := r.Budgets.List(ctx)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all, func(other policyv1.PodDisruptionBudget) bool { return other.Name == name })
			if i < 0 {
				return errors.NewNotFound(policyv1.Resource("poddisruptionbudgets"), name)
			}
			b = &all[i]
		}
		first = false
		if err := spend(b, p.Name, r.Wall.Now()); err != nil || dry {
			return err
		}
		return r.Budgets.UpdateStatus(ctx, b)
	})
	if exhausted {
		return errors.NewTimeoutError(fmt.Sprintf("couldn't update PodDisruptionBudget %q due to conflicts", name), 10)
	}
	return err
}

// end marks a pod as evicted and deletes it.
func (r *Storage) end(ctx context.Context, name string, how *metav1.DeleteOptions) error {
	if !dryrun.IsDryRun(how.DryRun) {
		if err := r.mark(ctx, name, how); err != nil {
			return err
		}
	}
	_, _, err := r.Pods.Delete(ctx, name, rest.ValidateAllObjectFunc, how)
	return err
}

// unversioned tells whether a client has not said which version of the pod it means.
func unversioned(how *metav1.DeleteOptions) bool {
	return how.Preconditions == nil || how.Preconditions.ResourceVersion == nil
}

// versioned are the options for the pod as it was read alone.
func versioned(how *metav1.DeleteOptions, p *corev1.Pod) *metav1.DeleteOptions {
	how = how.DeepCopy()
	if how.Preconditions == nil {
		how.Preconditions = &metav1.Preconditions{}
	}
	how.Preconditions.ResourceVersion = &p.ResourceVersion
	return how
}

// deleteOptions returns a copy of the eviction's options, with the dry run of the
// request where they say none.
func deleteOptions(e *policyv1.Eviction, options *metav1.CreateOptions) (*metav1.DeleteOptions, error) {
	if e.DeleteOptions == nil {
		return &metav1.DeleteOptions{DryRun: options.DryRun}, nil
	}
	how := e.DeleteOptions.DeepCopy()
	switch {
	case len(how.DryRun) == 0:
		how.DryRun = options.DryRun
	case len(options.DryRun) > 0 && !reflect.DeepEqual(options.DryRun, how.DryRun):
		return nil, errors.NewBadRequest(fmt.Sprintf("Non-matching dry-run options in request and content: %v and %v", options.DryRun, how.DryRun))
	}
	return how, nil
}

// mark says in the pod's status that it is being evicted. It holds the
// preconditions of the deletion and moves the resource version among them on.
func (r *Storage) mark(ctx context.Context, name string, how *metav1.DeleteOptions) error {
	update := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		p := old.DeepCopyObject().(*corev1.Pod)
		if err := holds(how.Preconditions, p); err != nil {
			return nil, errors.NewConflict(corev1.Resource("pods"), name, err)
		}
		r.SetCondition(p, corev1.PodCondition{
			Type:    corev1.DisruptionTarget,
			Status:  corev1.ConditionTrue,
			Reason:  "EvictionByEvictionAPI",
			Message: "Eviction API: evicting",
		})
		return p, nil
	}
	obj, _, err := r.Status.Update(ctx, name, rest.DefaultUpdatedObjectInfo(nil, update),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if how.Preconditions != nil && how.Preconditions.ResourceVersion != nil {
		version := obj.(*corev1.Pod).ResourceVersion
		how.Preconditions.ResourceVersion = &version
	}
	return nil
}

func holds(c *metav1.Preconditions, p *corev1.Pod) error {
	switch {
	case c == nil:
		return nil
	case c.UID != nil && *c.UID != p.UID:
		return fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *c.UID, p.UID)
	case c.ResourceVersion != nil && *c.ResourceVersion != p.ResourceVersion:
		return fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *c.ResourceVersion, p.ResourceVersion)
	}
	return nil
}
