package resource

import (
	"cmp"
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"laterna.dev/laterna/internal/registry/bounds"
)

// Object is a stored API object: the external Go type of its kind.
type Object interface {
	runtime.Object
	metav1.Object
}

// Rules says how objects of one kind are checked on their way into the store.
// Every function may be nil. Functions are called concurrently and must not keep
// their arguments; Validate functions must not change them.
type Rules[T Object] struct {
	// ValidName checks metadata.name; nil means a DNS subdomain.
	ValidName apivalidation.ValidateNameFunc
	// PrepareCreate clears what clients may not set (status) before validation.
	PrepareCreate func(ctx context.Context, obj T)
	// PrepareUpdate carries over what an update may not change.
	PrepareUpdate func(ctx context.Context, obj, old T)
	// Validate returns what is wrong with a new object beyond its metadata.
	Validate func(ctx context.Context, obj T) field.ErrorList
	// ValidateUpdate returns what is wrong with obj as the successor of old.
	ValidateUpdate func(ctx context.Context, obj, old T) field.ErrorList
	// WarnCreate and WarnUpdate return texts for the Warning header.
	WarnCreate func(ctx context.Context, obj T) []string
	WarnUpdate func(ctx context.Context, obj, old T) []string
	// Reset names the fields that PrepareCreate and PrepareUpdate clear, for
	// server-side apply, such as "status" or "spec.finalizers".
	Reset []string
	// AllowCreateOnUpdate lets a PUT create the object.
	AllowCreateOnUpdate bool
	// RequireResourceVersion refuses updates that name no resource version.
	RequireResourceVersion bool
	// Dependents says what becomes of what an object owns when its DELETE does not say:
	// "" deletes them in the background. Of a kind with rest.Unsupported the collector
	// knows nothing, whatever a DELETE says.
	Dependents rest.GarbageCollectionPolicy
	// GracefulDelete sets options.GracePeriodSeconds and returns true when
	// the object ends gracefully. nil means deletion at once.
	GracefulDelete func(ctx context.Context, obj T, options *metav1.DeleteOptions) bool
}

// strategy adapts Rules to the interfaces of the API server library.
type strategy[T Object] struct {
	runtime.ObjectTyper
	names.NameGenerator
	rules      Rules[T]
	namespaced bool
	apiVersion fieldpath.APIVersion
}

var (
	_ rest.RESTCreateStrategy  = &strategy[Object]{}
	_ rest.RESTUpdateStrategy  = &strategy[Object]{}
	_ rest.RESTDeleteStrategy  = &strategy[Object]{}
	_ rest.ResetFieldsStrategy = &strategy[Object]{}

	_ rest.GarbageCollectionDeleteStrategy = &strategy[Object]{}
)

func (s *strategy[T]) NamespaceScoped() bool                    { return s.namespaced }
func (s *strategy[T]) Canonicalize(runtime.Object)              {}
func (s *strategy[T]) AllowCreateOnUpdate(context.Context) bool { return s.rules.AllowCreateOnUpdate }
func (s *strategy[T]) AllowUnconditionalUpdate(context.Context) bool {
	return !s.rules.RequireResourceVersion
}

func (s *strategy[T]) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return cmp.Or(s.rules.Dependents, rest.DeleteDependents)
}

func (s *strategy[T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	if s.rules.PrepareCreate != nil {
		s.rules.PrepareCreate(ctx, obj.(T))
	}
}

func (s *strategy[T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if s.rules.PrepareUpdate != nil {
		s.rules.PrepareUpdate(ctx, obj.(T), old.(T))
	}
	unchanged(obj.(T), old.(T))
}

func (s *strategy[T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	name := s.rules.ValidName
	if name == nil {
		name = apivalidation.NameIsDNSSubdomain
	}
	o := obj.(T)
	errs := apivalidation.ValidateObjectMetaAccessor(bounds.Metadata(o), s.namespaced, name, field.NewPath("metadata"))
	if s.rules.Validate != nil {
		errs = append(errs, s.rules.Validate(ctx, o)...)
	}
	return bounds.Errors(errs)
}

func (s *strategy[T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	o, p := obj.(T), old.(T)
	errs := apivalidation.ValidateObjectMetaAccessorUpdate(bounds.Metadata(o), p, field.NewPath("metadata"))
	if s.rules.ValidateUpdate != nil {
		errs = append(errs, s.rules.ValidateUpdate(ctx, o, p)...)
	}
	return bounds.Errors(errs)
}

func (s *strategy[T]) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	if s.rules.WarnCreate == nil {
		return nil
	}
	return s.rules.WarnCreate(ctx, obj.(T))
}

func (s *strategy[T]) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if s.rules.WarnUpdate == nil {
		return nil
	}
	return s.rules.WarnUpdate(ctx, obj.(T), old.(T))
}

func (s *strategy[T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if len(s.rules.Reset) == 0 {
		return nil
	}
	set := fieldpath.NewSet()
	for _, name := range s.rules.Reset {
		parts := []any{}
		for _, part := range strings.Split(name, ".") {
			parts = append(parts, part)
		}
		set.Insert(fieldpath.MakePathOrDie(parts...))
	}
	return map[fieldpath.APIVersion]*fieldpath.Set{s.apiVersion: set}
}

// gracefulStrategy adds graceful deletion to a strategy.
type gracefulStrategy[T Object] struct{ *strategy[T] }

var _ rest.RESTGracefulDeleteStrategy = gracefulStrategy[Object]{}

func (s gracefulStrategy[T]) CheckGracefulDelete(ctx context.Context, obj runtime.Object, options *metav1.DeleteOptions) bool {
	if options == nil {
		return false
	}
	return s.rules.GracefulDelete(ctx, obj.(T), options)
}

// accessorName returns the object's name for messages, or "" where it has none.
func accessorName(obj runtime.Object) string {
	m, err := meta.Accessor(obj)
	if err != nil {
		return ""
	}
	return m.GetName()
}
