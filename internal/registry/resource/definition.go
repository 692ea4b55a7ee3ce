package resource

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Env is what every storage is built from. Scheme knows all served kinds;
// Getter says where and how objects are stored.
type Env struct {
	Scheme *runtime.Scheme
	Getter generic.RESTOptionsGetter
}

// Definition describes one served kind.
type Definition[T Object] struct {
	GroupVersion schema.GroupVersion
	// Plural and Singular are the resource names, such as "pods" and "pod".
	Plural, Singular string
	// ShortNames and Categories are those of kubectl, such as "po" and "all".
	ShortNames, Categories []string
	Namespaced             bool
	New                    func() T
	NewList                func() runtime.Object
	// Default fills in what an object may leave out. Every way of writing passes it,
	// before ownership of fields is recorded. nil fills in nothing.
	Default func(obj T)
	Rules   Rules[T]
	// Status are the rules of the status subresource; nil where there is none.
	Status *Rules[T]
	// Scaling is what the scale subresource shows; nil where there is none.
	Scaling *Scaling[T]
	// Permit is asked at every update of an object and of its subresources, before
	// anything else looks at it; its error is the answer. nil permits all. Rules say
	// what is right, Permit whose it is to write it.
	Permit func(ctx context.Context, obj, old T) error
	// PermitCreate is Permit for new objects.
	PermitCreate func(ctx context.Context, obj T) error
	// Columns are name and age where they are not given.
	Columns Columns[T]
	// Fields returns the selectable fields beyond metadata.name and
	// metadata.namespace, the same ones for every object.
	Fields func(obj T) fields.Set
	// FieldAliases are other names of selectable fields.
	FieldAliases map[string]string
	// Indexed maps a selectable field to the function that reads it, for
	// watches that select by it.
	Indexed map[string]func(obj T) string
	// ReturnDeleted makes a DELETE answer with the object, not with a Status.
	ReturnDeleted bool
	// TTL is how long the store keeps an object after its last write, in
	// whole seconds. 0 keeps it for ever.
	TTL time.Duration
}

// Register tells s what it must know of the kind beside its type: defaults, for an
// object alone and in a list, and which fields selectors may name.
func (d Definition[T]) Register(s *runtime.Scheme) error {
	if d.Default != nil {
		s.AddTypeDefaultingFunc(d.New(), func(obj any) { d.Default(obj.(T)) })
		s.AddTypeDefaultingFunc(d.NewList(), func(obj any) { d.defaultList(obj.(runtime.Object)) })
	}
	if d.Fields == nil {
		return nil // the library knows name and namespace
	}
	known := map[string]bool{"metadata.name": true, "metadata.namespace": true}
	for name := range d.Fields(d.New()) {
		known[name] = true
	}
	return s.AddFieldLabelConversionFunc(d.GroupVersion.WithKind(kindOf(d.New())), func(label, value string) (string, string, error) {
		if name, ok := d.FieldAliases[label]; ok {
			label = name
		}
		if !known[label] {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return label, value, nil
	})
}

func (d Definition[T]) defaultList(list runtime.Object) {
	// An error is of what is not a list.
	_ = meta.EachListItem(list, func(obj runtime.Object) error {
		d.Default(obj.(T))
		return nil
	})
}

// Storages builds what the kind is served by, by path: the objects and, where the
// definition has them, their status and scale.
func (d Definition[T]) Storages(env Env) (map[string]rest.Storage, error) {
	store, err := New(d, env)
	if err != nil {
		return nil, err
	}
	all := map[string]rest.Storage{d.Plural: store}
	if d.Status != nil {
		all[d.Plural+"/status"] = store.Subresource(*d.Status)
	}
	if d.Scaling != nil {
		all[d.Plural+"/scale"] = store.Scale(*d.Scaling)
	}
	return all, nil
}

func (d Definition[T]) columns() Columns[T] {
	if d.Columns.Row != nil {
		return d.Columns
	}
	return Columns[T]{
		Columns: []Column{Name(), AgeColumn()},
		Row:     func(obj T) []any { return []any{obj.GetName(), Age(obj)} },
	}
}
