package resource

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Scaling says where an object has what its scale subresource shows: how many pods it is
// to have (spec.replicas), how many it has, and a selector of them in its string form.
type Scaling[T Object] struct {
	Replicas    func(obj T) int32
	SetReplicas func(obj T, n int32)
	Has         func(obj T) int32
	Selector    func(obj T) (string, error)
}

// Scale serves get, update and patch of how many pods an object has, as a Scale of
// autoscaling/v1. Who owns spec.replicas of the Scale owns it of the object.
func (s *Store[T]) Scale(of Scaling[T]) *Scale[T] { return &Scale[T]{store: s, of: of} }

// Scale is made by Store.Scale.
type Scale[T Object] struct {
	store *Store[T]
	of    Scaling[T]
}

var (
	_ rest.Storage                  = &Scale[Object]{}
	_ rest.Patcher                  = &Scale[Object]{}
	_ rest.GroupVersionKindProvider = &Scale[Object]{}
	_ rest.TableConvertor           = &Scale[Object]{}
)

// New implements rest.Storage.
func (s *Scale[T]) New() runtime.Object { return &autoscalingv1.Scale{} }

// Destroy implements rest.Storage; the main storage owns the connection.
func (s *Scale[T]) Destroy() {}

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (s *Scale[T]) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
}

// ConvertToTable implements rest.TableConvertor.
func (s *Scale[T]) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(s.store.DefaultQualifiedResource).ConvertToTable(ctx, obj, options)
}

// Get implements rest.Getter.
func (s *Scale[T]) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := s.store.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return s.scale(obj)
}

// Update implements rest.Updater. It never creates the object.
func (s *Scale[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	check := func(ctx context.Context, obj, old runtime.Object) error {
		after, err := s.scale(obj)
		if err != nil {
			return err
		}
		before, err := s.scale(old)
		if err != nil || update == nil {
			return err
		}
		return update(ctx, after, before)
	}
	obj, _, err := s.store.Update(ctx, name, scaled[T]{info, s}, rest.ValidateAllObjectFunc, check, false, options)
	if err != nil {
		return nil, false, err
	}
	scale, err := s.scale(obj)
	return scale, false, err
}

// scale is what an object shows of itself here.
func (s *Scale[T]) scale(obj runtime.Object) (*autoscalingv1.Scale, error) {
	o, ok := obj.(T)
	if !ok {
		return nil, fmt.Errorf("object is a %T, not a %s", obj, s.store.definition.Singular)
	}
	selector, err := s.of.Selector(o)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of %s %s: %w", s.store.definition.Singular, o.GetName(), err)
	}
	managed, err := s.fields(o.GetManagedFields()).ToSubresource()
	if err != nil {
		return nil, fmt.Errorf("reading who manages the fields of %s %s: %w", s.store.definition.Singular, o.GetName(), err)
	}
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(),
			CreationTimestamp: o.GetCreationTimestamp(), ManagedFields: managed,
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: s.of.Replicas(o)},
		Status: autoscalingv1.ScaleStatus{Replicas: s.of.Has(o), Selector: selector},
	}, nil
}

// fields translates ownership of spec.replicas between an object and its scale.
func (s *Scale[T]) fields(managed []metav1.ManagedFieldsEntry) *managedfields.ScaleHandler {
	gv := s.store.definition.GroupVersion
	return managedfields.NewScaleHandler(managed, gv, managedfields.ResourcePathMappings{
		gv.String(): fieldpath.MakePathOrDie("spec", "replicas"),
	})
}

// scaled makes the update of a scale one of its object.
type scaled[T Object] struct {
	rest.UpdatedObjectInfo
	scale *Scale[T]
}

// Preconditions implements rest.UpdatedObjectInfo.
func (i scaled[T]) Preconditions() *metav1.Preconditions { return i.UpdatedObjectInfo.Preconditions() }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (i scaled[T]) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	before, err := i.scale.scale(old)
	if err != nil {
		return nil, err
	}
	o := old.DeepCopyObject().(T)
	fields := i.scale.fields(o.GetManagedFields())
	obj, err := i.UpdatedObjectInfo.UpdatedObject(ctx, before)
	if err != nil {
		return nil, err
	}
	after, ok := obj.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("expected input object type to be Scale, but %T", obj))
	}
	if errs := wrongScale(after); len(errs) > 0 {
		return nil, apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), o.GetName(), errs)
	}
	if after.ResourceVersion != "" {
		// Whoever names a version wants no other to be changed.
		o.SetResourceVersion(after.ResourceVersion)
	}
	if after.UID != "" && after.UID != o.GetUID() {
		return nil, apierrors.NewConflict(i.scale.store.DefaultQualifiedResource, o.GetName(),
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", after.UID, o.GetUID()))
	}
	managed, err := fields.ToParent(after.ManagedFields)
	if err != nil {
		return nil, fmt.Errorf("noting who manages the fields of %s: %w", o.GetName(), err)
	}
	o.SetManagedFields(managed)
	i.scale.of.SetReplicas(o, after.Spec.Replicas)
	return o, nil
}

// wrongScale is what is wrong with a scale.
func wrongScale(s *autoscalingv1.Scale) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(s.Spec.Replicas), field.NewPath("spec", "replicas"))
}
