package documents

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/scheme"
)

// FieldTypes is the managedfields.TypeConverter of all that the groups take in requests,
// subresources' kinds included: every write finds out with it who manages which fields.
// The models of a kind are built when it is first written. Those of all kinds together
// take longer than the rest of a start, and most systems never write most kinds.
type FieldTypes struct {
	docs *Documents
	// unowned tells whether nobody manages an object's fields: it is answered and never
	// stored as it is, and to find out who would is a good part of what a review costs.
	unowned func(obj any) bool
	// models are those of all kinds, byKind those of each.
	models []string
	byKind func() (map[schema.GroupVersionKind]string, error)
	// whole converts all kinds.
	whole func() (managedfields.TypeConverter, error)

	mu sync.Mutex
	// parts convert the kind of one model each.
	parts map[string]func() (managedfields.TypeConverter, error)
}

// fewModels is how many models a kind may consist of to be converted by itself. Those that
// hold the specification of pods are more, and share it.
const fewModels = 40

// FieldTypes returns the type converter for what the storages take.
func (d *Documents) FieldTypes(sch *scheme.Scheme, all *registry.Storages) (*FieldTypes, error) {
	models, err := modelNames(sch, all.Groups)
	if err != nil {
		return nil, err
	}
	f := &FieldTypes{docs: d, unowned: all.Unowned, models: models, parts: map[string]func() (managedfields.TypeConverter, error){}}
	f.byKind = sync.OnceValues(f.kinds)
	f.whole = sync.OnceValues(func() (managedfields.TypeConverter, error) {
		c, err := d.v3()
		if err != nil {
			return nil, err
		}
		return typesOf(c, f.models...)
	})
	return f, nil
}

// modelNames are the types of the API that the groups take; those of a library's storages
// are its own.
func modelNames(sch *scheme.Scheme, groups []registry.GroupStorages) ([]string, error) {
	seen := map[string]bool{}
	var names []string
	for _, g := range groups {
		for path, s := range g.ByPath {
			kind, err := genericapi.GetResourceKind(g.Version, s, sch)
			if err != nil {
				return nil, fmt.Errorf("looking for the kind of %s: %w", path, err)
			}
			obj, err := sch.New(kind)
			if err != nil {
				return nil, fmt.Errorf("making a %s: %w", kind, err)
			}
			if name := util.GetCanonicalTypeName(obj); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// typesOf converts the kinds of the named models.
func typesOf(c *common.OpenAPIV3Config, names ...string) (managedfields.TypeConverter, error) {
	models, err := builder3.BuildOpenAPIDefinitionsForResources(c, names...)
	if err != nil {
		return nil, fmt.Errorf("building models of server-side apply: %w", err)
	}
	return managedfields.NewTypeConverter(models, false)
}

// kindsExtension is where a model says of which kinds it is.
const kindsExtension = "x-kubernetes-group-version-kind"

// kinds returns the model of every kind.
func (f *FieldTypes) kinds() (map[schema.GroupVersionKind]string, error) {
	namer, err := f.docs.namer()
	if err != nil {
		return nil, err
	}
	models := map[schema.GroupVersionKind]string{}
	for _, name := range f.models {
		_, extensions := namer.GetDefinitionName(name)
		kinds, _ := extensions[kindsExtension].([]any)
		for _, k := range kinds {
			fields, _ := k.(map[string]any)
			text := func(key string) string { s, _ := fields[key].(string); return s }
			models[schema.GroupVersionKind{Group: text("group"), Version: text("version"), Kind: text("kind")}] = name
		}
	}
	return models, nil
}

// of returns what converts objects of a kind.
func (f *FieldTypes) of(kind schema.GroupVersionKind) (managedfields.TypeConverter, error) {
	models, err := f.byKind()
	if err != nil {
		return nil, err
	}
	name, ok := models[kind]
	if !ok {
		return f.whole() // which says so
	}
	f.mu.Lock()
	part := f.parts[name]
	if part == nil {
		part = sync.OnceValues(func() (managedfields.TypeConverter, error) { return f.build(name) })
		f.parts[name] = part
	}
	f.mu.Unlock()
	return part()
}

// build returns what converts the kind of a model.
func (f *FieldTypes) build(name string) (managedfields.TypeConverter, error) {
	namer, err := f.docs.namer()
	if err != nil {
		return nil, err
	}
	definitions := map[string]common.OpenAPIDefinition{}
	if !collect(name, definitions) {
		return f.whole()
	}
	return typesOf(&common.OpenAPIV3Config{GetDefinitionName: namer.GetDefinitionName, Definitions: definitions}, name)
}

// collect adds a model and all that it refers to, and tells whether they are few.
func collect(name string, into map[string]common.OpenAPIDefinition) bool {
	if _, ok := into[name]; ok {
		return true
	}
	d, ok := definition(name, func(name string) spec.Ref {
		return spec.MustCreateRef("#/components/schemas/" + common.EscapeJsonPointer(name))
	})
	if !ok || len(into) == fewModels {
		return false
	}
	into[name] = d
	for _, of := range d.Dependencies {
		if !collect(of, into) {
			return false
		}
	}
	return true
}

// ObjectToTyped implements managedfields.TypeConverter.
func (f *FieldTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if f.unowned(obj) {
		return typed.DeducedParseableType.FromUnstructured(map[string]any{})
	}
	c, err := f.of(obj.GetObjectKind().GroupVersionKind())
	if err != nil {
		return nil, err
	}
	v, err := c.ObjectToTyped(obj, opts...)
	if err != nil {
		return nil, err
	}
	return inOrder(obj, v), nil
}

// TypedToObject implements managedfields.TypeConverter.
func (f *FieldTypes) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	// What a value becomes does not depend on its type.
	return managedfields.NewDeducedTypeConverter().TypedToObject(v)
}
