package workload

import (
	"fmt"
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"laterna.dev/laterna/internal/controller/run"
)

// Owners says which parents of one kind are to be looked at when an object changes that
// is theirs, or that has no controller and may become theirs.
type Owners[T metav1.Object] struct {
	// Kind is the parents', and Parents the cache of them, of an informer of a factory.
	Kind    string
	Parents cache.Indexer
	// As reads an object of the cache; nil where it is a T as it stands.
	As func(obj any) (parent T, ok bool)
	// Selector is a parent's. One that is empty, which no store has, selects nothing.
	Selector func(parent T) *metav1.LabelSelector
	// Look is called with the key of each such parent.
	Look func(key string)
}

func (o Owners[T]) as(obj any) (parent T, ok bool) {
	if o.As != nil {
		return o.As(obj)
	}
	parent, ok = obj.(T)
	return parent, ok
}

// Handler looks after objects of an informer.
func (o Owners[T]) Handler() cache.ResourceEventHandler {
	return o.handler(func(obj any) { o.seen(obj, nil) })
}

// ChangesHandler is Handler for objects that nobody but their controller makes: those that
// come with one are no news.
func (o Owners[T]) ChangesHandler() cache.ResourceEventHandler {
	return o.handler(func(obj any) {
		if now, ok := obj.(metav1.Object); ok && metav1.GetControllerOfNoCopy(now) == nil {
			o.seen(obj, nil)
		}
	})
}

func (o Owners[T]) handler(added func(obj any)) cache.ResourceEventHandler {
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

func (o Owners[T]) seen(obj any, before metav1.Object) {
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
	for _, parent := range o.Selecting(now) {
		o.Look(cache.MetaObjectToName(parent).String())
	}
}

// Selecting are the parents that select an object.
func (o Owners[T]) Selecting(obj metav1.Object) (parents []T) {
	if len(obj.GetLabels()) == 0 {
		return nil
	}
	all, err := o.Parents.ByIndex(cache.NamespaceIndex, obj.GetNamespace())
	if err != nil {
		panic(fmt.Errorf("parents by namespace: %w", err)) // informers of a factory have the index
	}
	for _, one := range all {
		parent, ok := o.as(one)
		if !ok {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(o.Selector(parent)); err == nil && !s.Empty() && s.Matches(labels.Set(obj.GetLabels())) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// Has tells whether the controller that an object names is a parent that there is.
func (o Owners[T]) Has(owner *metav1.OwnerReference, namespace string) bool {
	_, is := o.named(owner, namespace)
	return is
}

// named finds the parent of the name of a controller, and tells whether it is the very
// one; the key is empty where there is none of the name.
func (o Owners[T]) named(owner *metav1.OwnerReference, namespace string) (key string, is bool) {
	if owner.Kind != o.Kind {
		return "", false
	}
	key = cache.NewObjectName(namespace, owner.Name).String()
	found, exists, err := o.Parents.GetByKey(key)
	if err != nil || !exists {
		return "", false
	}
	parent, ok := o.as(found)
	if !ok {
		return "", false
	}
	return key, parent.GetUID() == owner.UID
}

// owner looks at the controller of an object, or at another of its name that there is by
// now.
func (o Owners[T]) owner(obj metav1.Object, another bool) {
	owner := metav1.GetControllerOfNoCopy(obj)
	if owner == nil {
		return
	}
	if key, is := o.named(owner, obj.GetNamespace()); is || another && key != "" {
		o.Look(key)
	}
}
