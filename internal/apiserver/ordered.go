package apiserver

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// manyEntries is how many entries a map may have to be read in any order.
const manyEntries = 1000

// inOrder returns v with its maps read in the order of their keys where one is large.
// The library collects the fields that somebody owns in a sorted list: in the random
// order of maps that takes time that grows with the square of their number.
func inOrder(obj runtime.Object, v *typed.TypedValue) *typed.TypedValue {
	if !hasLargeMap(obj) {
		return v
	}
	return typed.AsTypedUnvalidated(orderedValue{v.AsValue()}, v.Schema(), v.TypeRef())
}

// hasLargeMap looks at the metadata first, and at all of an object only when it is
// large.
func hasLargeMap(obj runtime.Object) bool {
	if sized, ok := obj.(interface{ Size() int }); ok {
		// An entry takes at least six bytes.
		return sized.Size() > 6*manyEntries && anyLargeMap(reflect.ValueOf(obj))
	}
	return anyLargeMap(reflect.ValueOf(obj))
}

var timeType = reflect.TypeFor[metav1.Time]()

func anyLargeMap(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && anyLargeMap(v.Elem())
	case reflect.Map:
		if v.Len() > manyEntries {
			return true
		}
		if leaf(v.Type().Elem()) {
			return false
		}
		for entries := v.MapRange(); entries.Next(); {
			if anyLargeMap(entries.Value()) {
				return true
			}
		}
	case reflect.Slice:
		if leaf(v.Type().Elem()) {
			return false
		}
		for i := range v.Len() {
			if anyLargeMap(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return false
		}
		for i := range v.NumField() {
			if f := v.Field(i); !leaf(f.Type()) && anyLargeMap(f) {
				return true
			}
		}
	}
	return false
}

// leaf tells whether there can be no map in a value of a type.
func leaf(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Struct:
		return false
	case reflect.Slice:
		return leaf(t.Elem())
	}
	return true
}

// orderedValue, orderedMap and orderedList are values whose maps are read in order.
type orderedValue struct{ value.Value }

func (v orderedValue) AsMap() value.Map { return orderedMap{v.Value.AsMap()} }

func (v orderedValue) AsMapUsing(value.Allocator) value.Map { return v.AsMap() }

func (v orderedValue) AsList() value.List { return orderedList{v.Value.AsList()} }

func (v orderedValue) AsListUsing(value.Allocator) value.List { return v.AsList() }

type orderedMap struct{ value.Map }

func (m orderedMap) Get(key string) (value.Value, bool) {
	v, ok := m.Map.Get(key)
	if !ok {
		return nil, false
	}
	return orderedValue{v}, true
}

func (m orderedMap) GetUsing(_ value.Allocator, key string) (value.Value, bool) { return m.Get(key) }

func (m orderedMap) Iterate(f func(string, value.Value) bool) bool {
	return m.Map.Zip(nil, value.LexicalKeyOrder, func(key string, v, _ value.Value) bool {
		return f(key, orderedValue{v})
	})
}

func (m orderedMap) IterateUsing(_ value.Allocator, f func(string, value.Value) bool) bool {
	return m.Iterate(f)
}

func (m orderedMap) Zip(other value.Map, _ value.MapTraverseOrder, f func(key string, lhs, rhs value.Value) bool) bool {
	if o, ok := other.(orderedMap); ok {
		other = o.Map
	}
	return m.Map.Zip(other, value.LexicalKeyOrder, func(key string, lhs, rhs value.Value) bool {
		return f(key, ordered(lhs), ordered(rhs))
	})
}

func (m orderedMap) ZipUsing(_ value.Allocator, other value.Map, order value.MapTraverseOrder, f func(key string, lhs, rhs value.Value) bool) bool {
	return m.Zip(other, order, f)
}

func ordered(v value.Value) value.Value {
	if v == nil {
		return nil
	}
	return orderedValue{v}
}

type orderedList struct{ value.List }

func (l orderedList) At(i int) value.Value { return orderedValue{l.List.At(i)} }

func (l orderedList) AtUsing(_ value.Allocator, i int) value.Value { return l.At(i) }

func (l orderedList) Range() value.ListRange { return orderedRange{l.List.Range()} }

func (l orderedList) RangeUsing(value.Allocator) value.ListRange { return l.Range() }

type orderedRange struct{ value.ListRange }

func (r orderedRange) Item() (int, value.Value) {
	i, v := r.ListRange.Item()
	return i, ordered(v)
}
