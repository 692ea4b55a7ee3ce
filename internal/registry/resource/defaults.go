package resource

import "k8s.io/apimachinery/pkg/runtime"

// object is the pointer to a T that is an API object.
type object[T any] interface {
	*T
	runtime.Object
}

// AddDefaults tells the scheme how to fill in what an object of a kind may leave
// out, alone and in a list. items returns the objects of a list.
func AddDefaults[T, L any, PT object[T], PL object[L]](s *runtime.Scheme, items func(PL) []T, set func(PT)) error {
	s.AddTypeDefaultingFunc(PT(new(T)), func(obj any) { set(obj.(PT)) })
	s.AddTypeDefaultingFunc(PL(new(L)), func(obj any) {
		all := items(obj.(PL))
		for i := range all {
			set(&all[i])
		}
	})
	return nil
}
