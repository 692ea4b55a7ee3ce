package bounds

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HasMapOver tells whether a map in an object has more than n entries. It costs little
// where the object is small.
func HasMapOver(obj runtime.Object, n int) bool {
	if sized, ok := obj.(interface{ Size() int }); ok && sized.Size() <= 6*n {
		return false // an entry takes at least six bytes
	}
	return hasMapOver(reflect.ValueOf(obj), n)
}

var timeType = reflect.TypeFor[metav1.Time]()

func hasMapOver(v reflect.Value, n int) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && hasMapOver(v.Elem(), n)
	case reflect.Map:
		if v.Len() > n {
			return true
		}
		if leaf(v.Type().Elem()) {
			return false
		}
		for entries := v.MapRange(); entries.Next(); {
			if hasMapOver(entries.Value(), n) {
				return true
			}
		}
	case reflect.Slice:
		if leaf(v.Type().Elem()) {
			return false
		}
		for i := range v.Len() {
			if hasMapOver(v.Index(i), n) {
				return true
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return false
		}
		for i := range v.NumField() {
			if f := v.Field(i); !leaf(f.Type()) && hasMapOver(f, n) {
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
