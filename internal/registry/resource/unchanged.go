package resource

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unchanged lets the library see that a write changes nothing. It leaves times of
// managers out of account, but compares whole objects and managers in their order: an
// object that was read from the store says its kind, one that came with an update may
// not, and the manager that wrote last moves to the end.
func unchanged[T Object](obj, old T) {
	obj.GetObjectKind().SetGroupVersionKind(old.GetObjectKind().GroupVersionKind())
	managers := obj.GetManagedFields()
	ordered := inOrderOf(old.GetManagedFields(), managers)
	if ordered == nil {
		return
	}
	obj.SetManagedFields(old.GetManagedFields())
	same := equality.Semantic.DeepEqual(obj, old)
	obj.SetManagedFields(managers)
	if same {
		obj.SetManagedFields(ordered)
	}
}

// inOrderOf returns the entries of now in the order in which they are in before, and nil
// when they are already, or are others.
func inOrderOf(before, now []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	if len(before) != len(now) {
		return nil
	}
	ordered, moved := make([]metav1.ManagedFieldsEntry, 0, len(now)), false
	used := make([]bool, len(now))
	for i := range before {
		at := -1
		for j := range now {
			// The manager's own place is tried first: most have not moved.
			if k := (i + j) % len(now); !used[k] && sameManager(before[i], now[k]) {
				at = k
				break
			}
		}
		if at < 0 {
			return nil
		}
		used[at] = true
		moved = moved || at != i
		ordered = append(ordered, now[at])
	}
	if !moved {
		return nil
	}
	return ordered
}

func sameManager(a, b metav1.ManagedFieldsEntry) bool {
	if a.Manager != b.Manager || a.Operation != b.Operation || a.Subresource != b.Subresource {
		return false
	}
	a.Time, b.Time = nil, nil
	return reflect.DeepEqual(a, b)
}
