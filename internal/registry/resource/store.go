package resource

import (
	"context"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"laterna.dev/laterna/internal/registry/bounds"
)

// Store serves one kind: get, list, watch, create, update, patch, delete.
type Store[T Object] struct {
	*genericregistry.Store
	shortNames, categories []string
	definition             Definition[T]
	env                    Env
}

var (
	_ rest.StandardStorage    = &Store[Object]{}
	_ rest.ShortNamesProvider = &Store[Object]{}
	_ rest.CategoriesProvider = &Store[Object]{}
)

// ShortNames implements rest.ShortNamesProvider.
func (s *Store[T]) ShortNames() []string { return s.shortNames }

// Categories implements rest.CategoriesProvider.
func (s *Store[T]) Categories() []string { return s.categories }

// Watch implements rest.Watcher. A resource version that is none is the client's
// fault; the library answers 500.
func (s *Store[T]) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	w, err := s.Store.Watch(ctx, options)
	if storage.IsInvalidError(err) {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return w, err
}

// New builds the storage of a kind.
func New[T Object](d Definition[T], env Env) (*Store[T], error) {
	st := newStrategy(d, d.Rules, env)
	s := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return d.New() },
		NewListFunc:               d.NewList,
		DefaultQualifiedResource:  schema.GroupResource{Group: d.GroupVersion.Group, Resource: d.Plural},
		SingularQualifiedResource: schema.GroupResource{Group: d.GroupVersion.Group, Resource: d.Singular},
		CreateStrategy:            st,
		UpdateStrategy:            st,
		DeleteStrategy:            st,
		ResetFieldsStrategy:       st,
		ReturnDeletedObject:       d.ReturnDeleted,
		TableConvertor:            tableConvertor[T]{d.columns()},
		BeginUpdate:               d.beginUpdate,
	}
	if d.PermitCreate != nil {
		s.BeginCreate = d.beginCreate
	}
	if d.Rules.GracefulDelete != nil {
		s.DeleteStrategy = gracefulStrategy[T]{st}
	}
	if seconds := uint64(d.TTL / time.Second); seconds > 0 {
		s.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return seconds, nil }
	}
	options := &generic.StoreOptions{RESTOptions: env.Getter, AttrFunc: d.attributes}
	if len(d.Indexed) > 0 {
		options.TriggerFunc, options.Indexers = d.indexes()
	}
	if err := s.CompleteWithOptions(options); err != nil {
		return nil, fmt.Errorf("building storage of %s: %w", s.DefaultQualifiedResource, err)
	}
	return &Store[T]{Store: s, shortNames: d.ShortNames, categories: d.Categories, definition: d, env: env}, nil
}

func newStrategy[T Object](d Definition[T], rules Rules[T], env Env) *strategy[T] {
	return &strategy[T]{
		ObjectTyper:   env.Scheme,
		NameGenerator: names.SimpleNameGenerator,
		rules:         rules,
		namespaced:    d.Namespaced,
		apiVersion:    fieldpath.APIVersion(d.GroupVersion.String()),
	}
}

// attributes returns labels and selectable fields, for selectors.
func (d Definition[T]) attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	o, ok := obj.(T)
	if !ok {
		return nil, nil, fmt.Errorf("object is a %T, not a %s", obj, d.Singular)
	}
	set := fields.Set{"metadata.name": o.GetName()}
	if d.Namespaced {
		set["metadata.namespace"] = o.GetNamespace()
	}
	if d.Fields != nil {
		for k, v := range d.Fields(o) {
			set[k] = v
		}
	}
	return o.GetLabels(), set, nil
}

func (d Definition[T]) indexes() (storage.IndexerFuncs, *cache.Indexers) {
	triggers, indexers := storage.IndexerFuncs{}, cache.Indexers{}
	for name, read := range d.Indexed {
		triggers[name] = func(obj runtime.Object) string { return read(obj.(T)) }
		indexers[storage.FieldIndex(name)] = func(obj any) ([]string, error) {
			o, ok := obj.(T)
			if !ok {
				return nil, fmt.Errorf("object is a %T, not a %s", obj, d.Singular)
			}
			return []string{read(o)}, nil
		}
	}
	return triggers, &indexers
}

func (d Definition[T]) beginCreate(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	if err := d.PermitCreate(ctx, obj.(T)); err != nil {
		return nil, err
	}
	return func(context.Context, bool) {}, nil
}

// beginUpdate stands before the library's own validation of metadata, which lists every
// mistake. Every update of an object and of its subresources passes it.
func (d Definition[T]) beginUpdate(ctx context.Context, obj, old runtime.Object, _ *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	o, p := obj.(T), old.(T)
	if d.Permit != nil {
		if err := d.Permit(ctx, o, p); err != nil {
			return nil, err
		}
	}
	errs := bounds.MetadataMistakes(o)
	if e := bounds.Grown(obj, old); e != nil {
		errs = field.ErrorList{e}
	}
	if len(errs) > 0 {
		return nil, bounds.Invalid(schema.GroupKind{Group: d.GroupVersion.Group, Kind: kindOf(o)}, p.GetName(), errs)
	}
	return func(context.Context, bool) {}, nil
}

// kindOf returns what an object's kind is called, which is as its type is.
func kindOf(o runtime.Object) string { return reflect.TypeOf(o).Elem().Name() }

// Subresource serves get, update and patch of a part of the object under rules of
// its own, such as status. rules.ValidName and the create rules are not used.
func (s *Store[T]) Subresource(rules Rules[T]) *Subresource[T] {
	st := newStrategy(s.definition, rules, s.env)
	part := *s.Store
	part.CreateStrategy, part.DeleteStrategy = nil, nil
	part.UpdateStrategy, part.ResetFieldsStrategy = st, st
	return &Subresource[T]{store: &part}
}

// Subresource is made by Store.Subresource.
type Subresource[T Object] struct{ store *genericregistry.Store }

var (
	_ rest.Storage             = &Subresource[Object]{}
	_ rest.Patcher             = &Subresource[Object]{}
	_ rest.ResetFieldsStrategy = &Subresource[Object]{}
	_ rest.TableConvertor      = &Subresource[Object]{}
)

// New implements rest.Storage.
func (r *Subresource[T]) New() runtime.Object { return r.store.NewFunc() }

// Destroy implements rest.Storage; the main storage owns the connection.
func (r *Subresource[T]) Destroy() {}

// Get implements rest.Getter.
func (r *Subresource[T]) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update implements rest.Updater. It never creates the object.
func (r *Subresource[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, bounded(r.store, info), create, update, false, options)
}

// Update implements rest.Updater.
func (s *Store[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, mayCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.Store.Update(ctx, name, bounded(s.Store, info), create, update, mayCreate, options)
}

// bounded refuses patches that would take too long.
func bounded(s *genericregistry.Store, info rest.UpdatedObjectInfo) rest.UpdatedObjectInfo {
	return boundedInfo{info, s.DefaultQualifiedResource}
}

type boundedInfo struct {
	rest.UpdatedObjectInfo
	resource schema.GroupResource
}

// UpdatedObject implements rest.UpdatedObjectInfo.
func (b boundedInfo) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	if err := bounds.Patchable(ctx, b.resource, old); err != nil {
		return nil, err
	}
	return b.UpdatedObjectInfo.UpdatedObject(ctx, old)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *Subresource[T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (r *Subresource[T]) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}
