package rbac

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// Storage is the storage of one of the four kinds: every write of a user outside
// system:masters passes its check first.
type Storage[T resource.Object] struct {
	*resource.Store[T]
	check Check[T]
}

// Check returns the error that a write of obj ends with, nil to let it pass. old is
// what is stored, empty for a new object. The object's own namespace may not be set
// yet; the request's is in ctx.
type Check[T resource.Object] func(ctx context.Context, obj, old T) error

var _ rest.StandardStorage = &Storage[resource.Object]{}

// NewStorage builds the storage that d describes, guarded by check.
func NewStorage[T resource.Object](d resource.Definition[T], env resource.Env, view View, check Check[T]) (*Storage[T], error) {
	st, err := resource.New(d, env)
	if err != nil {
		return nil, err
	}
	st.AfterCreate = func(obj runtime.Object, o *metav1.CreateOptions) {
		if len(o.DryRun) == 0 {
			view.Written(obj)
		}
	}
	st.AfterUpdate = func(obj runtime.Object, o *metav1.UpdateOptions) {
		if len(o.DryRun) == 0 {
			view.Written(obj)
		}
	}
	st.AfterDelete = func(obj runtime.Object, o *metav1.DeleteOptions) {
		if len(o.DryRun) == 0 {
			view.Deleted(obj)
		}
	}
	return &Storage[T]{Store: st, check: check}, nil
}

// Create implements rest.Creater.
func (s *Storage[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	if !privileged(ctx) {
		if err := s.check(ctx, obj.(T), s.New().(T)); err != nil {
			return nil, err
		}
	}
	return s.Store.Create(ctx, obj, validate, options)
}

// Update implements rest.Updater; it serves PUT, PATCH and apply.
func (s *Storage[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if !privileged(ctx) {
		info = rest.WrapUpdatedObjectInfo(info, func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
			if onlyReleases(obj, old) {
				return obj, nil
			}
			return obj, s.check(ctx, obj.(T), old.(T))
		})
	}
	return s.Store.Update(ctx, name, info, create, update, force, options)
}

// onlyReleases reports whether obj differs from old in nothing but owners and
// finalizers, which whoever collects garbage must be able to change.
func onlyReleases(obj, old runtime.Object) bool {
	oldMeta, err := meta.Accessor(old)
	if err != nil || oldMeta.GetUID() == "" {
		return false
	}
	same := obj.DeepCopyObject()
	m, err := meta.Accessor(same)
	if err != nil {
		return false
	}
	m.SetOwnerReferences(oldMeta.GetOwnerReferences())
	m.SetFinalizers(oldMeta.GetFinalizers())
	m.SetManagedFields(oldMeta.GetManagedFields())
	return equality.Semantic.DeepEqual(same, old)
}
