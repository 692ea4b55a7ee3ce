package bounds

import (
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Grown returns what is wrong (422) when an update of old makes a list longer than
// MaxMembers whose elements have owners, and nil otherwise. A request alone cannot bring
// as many, but patches could add them up, and then each later update, however small,
// would work all of them into each other in quadratic time. A list that is as long
// already may stay or become shorter.
func Grown(obj, old runtime.Object) *field.Error {
	if sized, ok := obj.(interface{ Size() int }); ok && sized.Size() <= 2*MaxMembers {
		return nil // an element takes at least two bytes
	}
	v := reflect.ValueOf(obj)
	n := longestMerged(v)
	if n <= MaxMembers || n <= longestMerged(reflect.ValueOf(old)) {
		return nil
	}
	return field.TooMany(mergedPath(v, n, nil), n, MaxMembers)
}

// mergedPath finds a list with n elements that longestMerged counts. The path is without
// indices.
func mergedPath(v reflect.Value, n int, at *field.Path) *field.Path {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return mergedPath(v.Elem(), n, at)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if found := mergedPath(v.Index(i), n, at); found != nil {
				return found
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f, t := v.Field(i), v.Type().Field(i)
			name, _, _ := strings.Cut(t.Tag.Get("json"), ",")
			if merged(t) && f.Len() == n {
				return child(at, name)
			}
			if leaf(t.Type) || t.Type == timeType {
				continue
			}
			if found := mergedPath(f, n, child(at, name)); found != nil {
				return found
			}
		}
	}
	return nil
}

// merged tells whether a field is a list whose elements a strategic merge patch merges
// (patchStrategy "merge").
func merged(f reflect.StructField) bool {
	return f.Type.Kind() == reflect.Slice && strings.Contains(f.Tag.Get("patchStrategy"), "merge")
}
