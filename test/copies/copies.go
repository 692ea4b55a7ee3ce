// Package copies holds that the copy of an object shares no memory with it.
//
// It owns filling an object and looking for what two have in common; which kinds are
// copied is said by the tests beside them.
package copies

import (
	"reflect"
	"testing"

	"sigs.k8s.io/randfill"
)

// ShareNothing fills objects that empty makes with everything that they can hold, and
// looks for memory that a copy has in common with its original.
func ShareNothing[T interface{ DeepCopy() T }](t *testing.T, empty func() T) {
	t.Helper()
	for seed := range int64(50) {
		in := empty()
		randfill.NewWithSeed(seed).NilChance(0).NumElements(1, 3).MaxDepth(12).Fill(in)
		out := in.DeepCopy()
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("seed %d: the copy differs", seed)
		}
		if path := common(reflect.ValueOf(in), reflect.ValueOf(out), "list"); path != "" {
			t.Fatalf("seed %d: %s is in both", seed, path)
		}
	}
}

// common returns the path of the first pointer, slice or map that a and b share.
func common(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if a.IsNil() || a.Type().Elem().Size() == 0 {
			return ""
		}
		if a.Pointer() == b.Pointer() && a.Type().String() != "*time.Location" {
			return path
		}
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.Type().String() == "*time.Location" {
			return ""
		}
		return common(a.Elem(), b.Elem(), path)
	case reflect.Slice:
		for i := range a.Len() {
			if p := common(a.Index(i), b.Index(i), path+"[]"); p != "" {
				return p
			}
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if p := common(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); p != "" {
				return p
			}
		}
	}
	return ""
}
