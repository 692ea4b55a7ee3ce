package quantity

import (
	"bytes"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Guard knows where the kinds of a scheme have quantities. It is safe for concurrent
// use.
type Guard struct {
	kinds     map[string][]reflect.Type // by name, those with quantities
	resources map[string]reflect.Type
}

// NewGuard returns a guard for the kinds that s knows by now.
func NewGuard(s *runtime.Scheme) *Guard {
	g := &Guard{kinds: map[string][]reflect.Type{}, resources: map[string]reflect.Type{}}
	for gvk, t := range s.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal || !holds(t, nil) {
			continue
		}
		g.kinds[gvk.Kind] = append(g.kinds[gvk.Kind], t)
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		g.resources[plural.Resource] = t
	}
	return g
}

// Check returns an error when body has, where a quantity is expected, a number whose
// exponent is beyond any use. mediaType is that of the body, plural the resource that
// it is sent to; the server decodes whatever kind the body says that it is. A body
// that does not parse is left to the decoder.
func (g *Guard) Check(mediaType, plural string, body []byte) error {
	text := !strings.Contains(mediaType, "protobuf")
	if !suspicious(body, text) {
		return nil
	}
	if !text {
		return g.checkProtobuf(plural, body)
	}
	if strings.Contains(mediaType, "yaml") {
		converted, err := yaml.YAMLToJSON(body)
		if err != nil {
			return nil
		}
		body = converted
	}
	if strings.Contains(mediaType, "json-patch") {
		return g.checkPatch(plural, body)
	}
	for _, t := range g.candidates(plural, kindsOf(body)...) {
		if err := checkJSON(t, body); err != nil {
			return err
		}
	}
	return nil
}

// checkPatch reads a JSON patch (RFC 6902). One that changes the kind of the object
// has it decoded as another.
func (g *Guard) checkPatch(plural string, body []byte) error {
	operations := operationsOf(body)
	types := g.candidates(plural)
	if slices.ContainsFunc(operations, operation.changesKind) {
		types = g.candidates(plural, slices.Collect(maps.Keys(g.kinds))...)
	}
	for _, t := range types {
		for _, o := range operations {
			if err := o.check(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// candidates are the types that a body may be decoded as.
func (g *Guard) candidates(plural string, kinds ...string) []reflect.Type {
	var all []reflect.Type
	if t := g.resources[plural]; t != nil {
		all = append(all, t)
	}
	for _, kind := range kinds {
		for _, t := range g.kinds[kind] {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

var exponent = regexp.MustCompile(`[eE][+-]?[0-9]{3}`)

// suspicious tells whether an exponent of more than two digits may be in body. It
// spares nearly all bodies the closer look.
func suspicious(body []byte, text bool) bool {
	return exponent.Match(body) || text && bytes.IndexByte(body, '\\') >= 0
}

var quantityType = reflect.TypeFor[resource.Quantity]()

// holds tells whether a value of type t can hold a quantity. outer are the types
// that t is looked at within.
func holds(t reflect.Type, outer []reflect.Type) bool {
	t = element(t)
	if t == quantityType {
		return true
	}
	if t == nil || t.Kind() != reflect.Struct || slices.Contains(outer, t) {
		return false
	}
	outer = append(outer, t)
	for i := range t.NumField() {
		if holds(t.Field(i).Type, outer) {
			return true
		}
	}
	return false
}

// element returns what is in the end in pointers, lists and maps of it.
func element(t reflect.Type) reflect.Type {
	for t != nil {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		default:
			return t
		}
	}
	return nil
}
