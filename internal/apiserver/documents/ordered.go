package documents

import (
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"laterna.dev/laterna/internal/registry/bounds"
)

// manyEntries is how many entries a map may have to be read in any order.
const manyEntries = 1000

// inOrder returns v with its maps read in the order of their keys where one is large.
// The library collects the fields that somebody owns in a sorted list: in the random
// order of maps that takes time that grows with the square of their number.
func inOrder(obj runtime.Object, v *typed.TypedValue) *typed.TypedValue {
	if !bounds.HasMapOver(obj, manyEntries) {
		return v
	}
	return typed.AsTypedUnvalidated(orderedValue{v.AsValue()}, v.Schema(), v.TypeRef())
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
