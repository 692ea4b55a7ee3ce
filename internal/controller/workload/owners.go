package workload

import (
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
)

// Owners says which parents of one kind are to be looked at when an object changes that
// is theirs, or that has no controller and may become theirs.
type Owners struct {
	// Kind is the parents'.
	Kind string
	// Find returns a parent by name, nil where there is none.
	Find func(namespace, name string) metav1.Object
	// Selecting returns the parents of a namespace that select labels.
	Selecting func(namespace string, has labels.Set) []metav1.Object
	// Look is called with the key of each such parent.
	Look func(key string)
}

// Handler looks after objects of an informer.
func (o Owners) Handler() cache.ResourceEventHandler {
	return o.handler(func(obj any) { o.seen(obj, nil) })
}

// ChangesHandler is Handler for objects that nobody but their controller makes: those that
// come with one are no news.
func (o Owners) ChangesHandler() cache.ResourceEventHandler {
	return o.handler(func(obj any) {
		if now, ok := obj.(metav1.Object); ok && metav1.GetControllerOfNoCopy(now) == nil {
			o.seen(obj, nil)
		}
	})
}

func (o Owners) handler(added func(obj any)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: added,
		UpdateFunc: func(old, obj any) {
			before, _ := old.(metav1.Object)
			o.seen(obj, before)
		},
		DeleteFunc: func(obj any) {
			if gone, ok := run.Last[metav1.Object](obj); ok {
				// The name of one that was an earlier parent's is free now.
				o.owner(gone, true)
			}
		},
	}
}

func (o Owners) seen(obj any, before metav1.Object) {
	now, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	given := before != nil && !reflect.DeepEqual(metav1.GetControllerOfNoCopy(before), metav1.GetControllerOfNoCopy(now))
	if given {
		o.owner(before, false)
	}
	if metav1.GetControllerOfNoCopy(now) != nil {
		o.owner(now, false)
		return
	}
	if before != nil && !given && maps.Equal(before.GetLabels(), now.GetLabels()) {
		return // nobody selects it who did not before
	}
	for _, parent := range o.Selecting(now.GetNamespace(), now.GetLabels()) {
		o.Look(cache.MetaObjectToName(parent).String())
	}
}

// owner looks at the controller of an object, or at another of its name that there is by
// now.
func (o Owners) owner(obj metav1.Object, another bool) {
	owner := metav1.GetControllerOfNoCopy(obj)
	if owner == nil || owner.Kind != o.Kind {
		return
	}
	if parent := o.Find(obj.GetNamespace(), owner.Name); parent != nil && (another || parent.GetUID() == owner.UID) {
		o.Look(cache.MetaObjectToName(parent).String())
	}
}

// Selecting returns those of some parents that select labels; an empty selector, which no
// store has, selects nothing.
func Selecting[T metav1.Object](parents []T, has labels.Set, selector func(T) *metav1.LabelSelector) (all []metav1.Object) {
	if len(has) == 0 {
		return nil
	}
	for _, parent := range parents {
		if s, err := metav1.LabelSelectorAsSelector(selector(parent)); err == nil && !s.Empty() && s.Matches(has) {
			all = append(all, parent)
		}
	}
	return all
}
