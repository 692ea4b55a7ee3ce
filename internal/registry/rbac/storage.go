package rbac

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// Guarded is one of the four kinds: every write of a user outside system:masters
// passes its check first.
type Guarded[T resource.Object] struct {
	resource.Definition[T]
	// Check returns the error that a write of obj ends with, nil to let it pass. old
	// is what is stored, empty for a new object. The object's own namespace may not be
	// set yet; the request's is in ctx.
	Check func(ctx context.Context, a Access, obj, old T) error
}

// rules are those of all four kinds. validate returns what is wrong with obj as the
// successor of old, which is nil for a new object.
func rules[T resource.Object](validate func(obj, old T) field.ErrorList) resource.Rules[T] {
	var none T
	return resource.Rules[T]{
		ValidName:           ValidName,
		Validate:            func(_ context.Context, obj T) field.ErrorList { return validate(obj, none) },
		ValidateUpdate:      func(_ context.Context, obj, old T) field.ErrorList { return validate(obj, old) },
		AllowCreateOnUpdate: true,
	}
}

// Storages builds what the kind is served by, by path. The view of a is told of what
// is written.
func (g Guarded[T]) Storages(env resource.Env, a Access) (map[string]rest.Storage, error) {
	st, err := resource.New(g.Definition, env)
	if err != nil {
		return nil, err
	}
	st.AfterCreate = func(obj runtime.Object, o *metav1.CreateOptions) {
		if len(o.DryRun) == 0 {
			a.View.Written(obj)
		}
	}
	st.AfterUpdate = func(obj runtime.Object, o *metav1.UpdateOptions) {
		if len(o.DryRun) == 0 {
			a.View.Written(obj)
		}
	}
	st.AfterDelete = func(obj runtime.Object, o *metav1.DeleteOptions) {
		if len(o.DryRun) == 0 {
			a.View.Deleted(obj)
		}
	}
	check := func(ctx context.Context, obj, old T) error { return g.Check(ctx, a, obj, old) }
	return map[string]rest.Storage{g.Plural: &storage[T]{st, check}}, nil
}

// storage serves one of the four kinds.
type storage[T resource.Object] struct {
	*resource.Store[T]
	check func(ctx context.Context, obj, old T) error
}

var _ rest.StandardStorage = &storage[resource.Object]{}

// Create implements rest.Creater.
func (s *storage[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	if !privileged(ctx) {
		if err := s.check(ctx, obj.(T), s.New().(T)); err != nil {
			return nil, err
		}
	}
	return s.Store.Create(ctx, obj, validate, options)
}

// Update implements rest.Updater; it serves PUT, PATCH and apply.
func (s *storage[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
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
