package run

import "k8s.io/client-go/tools/cache"

// Handlers calls changed for an object that came, changed or went, or for the
// tombstone of one whose end was not seen.
func Handlers(changed func(obj any)) cache.ResourceEventHandlerFuncs {
	h := Present(changed)
	h.DeleteFunc = changed
	return h
}

// Present calls seen for an object that came or changed.
func Present(seen func(obj any)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{AddFunc: seen, UpdateFunc: func(_, obj any) { seen(obj) }}
}

// NameOf returns the name of what an informer's handler was given, an object or a
// tombstone. ok is false for anything else.
func NameOf(obj any) (name cache.ObjectName, ok bool) {
	name, err := cache.DeletionHandlingObjectToName(obj)
	return name, err == nil
}

// Last returns what an informer's handler was given, an object or the last that was seen of
// one whose end was not, where it is a T.
func Last[T any](obj any) (last T, ok bool) {
	if tombstone, gone := obj.(cache.DeletedFinalStateUnknown); gone {
		obj = tombstone.Obj
	}
	last, ok = obj.(T)
	return last, ok
}
