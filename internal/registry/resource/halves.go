package resource

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Halves are the parts of a kind that is written by two: its users write the spec, what
// acts on it the status. metadata.generation counts the changes of the spec.
type Halves[T Object, Spec, Status any] struct {
	Spec func(obj T) *Spec
	// Status is nil where a kind has none.
	Status func(obj T) *Status
	// Uncounted kinds have no generation.
	Uncounted bool
}

// Main returns rules of the object itself: whoever writes it leaves its status as it is.
func (h Halves[T, Spec, Status]) Main(validate func(obj T) field.ErrorList, change func(obj, old T) field.ErrorList) Rules[T] {
	r := Rules[T]{
		PrepareCreate: func(_ context.Context, obj T) {
			if h.Status != nil {
				*h.Status(obj) = *new(Status)
			}
			if !h.Uncounted {
				obj.SetGeneration(1)
			}
		},
		PrepareUpdate: func(_ context.Context, obj, old T) {
			if h.Status != nil {
				*h.Status(obj) = *h.Status(old)
			}
			h.count(obj, old)
		},
		Validate: func(_ context.Context, obj T) field.ErrorList { return validate(obj) },
		ValidateUpdate: func(_ context.Context, obj, old T) field.ErrorList {
			if change == nil {
				return validate(obj)
			}
			return change(obj, old)
		},
	}
	if h.Status != nil {
		r.Reset = []string{"status"}
	}
	return r
}

func (h Halves[T, Spec, Status]) count(obj, old T) {
	if h.Uncounted {
		return
	}
	obj.SetGeneration(old.GetGeneration())
	if !equality.Semantic.DeepEqual(h.Spec(obj), h.Spec(old)) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// Sub returns rules of the status subresource, which leaves the spec as it is.
func (h Halves[T, Spec, Status]) Sub(validate func(obj, old T) field.ErrorList) *Rules[T] {
	return &Rules[T]{
		PrepareUpdate: func(_ context.Context, obj, old T) {
			*h.Spec(obj) = *h.Spec(old)
			h.count(obj, old)
		},
		ValidateUpdate: func(_ context.Context, obj, old T) field.ErrorList {
			if validate == nil {
				return nil
			}
			return validate(obj, old)
		},
		Reset: []string{"spec"},
	}
}

// KeepMetadata has rules of a status subresource leave the metadata as they are, too.
func KeepMetadata[T Object](r *Rules[T]) {
	prepare := r.PrepareUpdate
	r.PrepareUpdate = func(ctx context.Context, obj, old T) {
		managers := obj.GetManagedFields()
		metadata(old).DeepCopyInto(metadata(obj))
		obj.SetManagedFields(managers)
		prepare(ctx, obj, old)
	}
	r.Reset = append(r.Reset, "metadata")
}

// metadata returns those of an object of a Go type that has them as its field.
func metadata(obj metav1.Object) *metav1.ObjectMeta {
	return obj.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
}

// OnlyStored warns at the creation of an object that nothing here acts on it.
func OnlyStored[T Object](text string) func(context.Context, T) []string {
	return func(context.Context, T) []string { return []string{text} }
}
