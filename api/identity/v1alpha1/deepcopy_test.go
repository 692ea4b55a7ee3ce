package v1alpha1_test

import (
	"reflect"
	"testing"

	"sigs.k8s.io/randfill"

	"laterna.dev/laterna/api/identity/v1alpha1"
)

// TestCopiesShareNothing fills an object with everything that it can hold, and looks
// for memory that its copy has in common with it.
func TestCopiesShareNothing(t *testing.T) {
	for seed := range int64(50) {
		in := &v1alpha1.SigningKeyList{}
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

func TestNilCopiesStayNil(t *testing.T) {
	var p *v1alpha1.SigningKey
	var l *v1alpha1.SigningKeyList
	var s *v1alpha1.SigningKeyStatus
	if p.DeepCopy() != nil || l.DeepCopy() != nil || s.DeepCopy() != nil {
		t.Error("the copy of nothing is something")
	}
	if p.DeepCopyObject() != nil || l.DeepCopyObject() != nil {
		t.Error("the copy of no object is one")
	}
	if got := (&v1alpha1.SigningKeyList{}).DeepCopy(); got.Items != nil {
		t.Errorf("a list appeared: %+v", got.Items)
	}
}
