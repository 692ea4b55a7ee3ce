package workload

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// controllerIndex finds objects by the UID of their controller, and those without one by
// their namespace.
const controllerIndex = "metadata.controller"

// ByController looks objects of one kind up by whose they are. What it returns is shared:
// read only.
type ByController[T metav1.Object] struct{ indexer cache.Indexer }

// Index returns the index of an informer by controllers. All that call it share the
// index, one at a time.
func Index[T metav1.Object](informer cache.SharedIndexInformer) (ByController[T], error) {
	indexer := informer.GetIndexer()
	if indexer.GetIndexers()[controllerIndex] == nil {
		if err := informer.AddIndexers(cache.Indexers{controllerIndex: controllerKey}); err != nil {
			return ByController[T]{}, fmt.Errorf("indexing by controller: %w", err)
		}
	}
	return ByController[T]{indexer}, nil
}

func controllerKey(obj any) ([]string, error) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return nil, nil
	}
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return []string{string(owner.UID)}, nil
	}
	return []string{orphans + o.GetNamespace()}, nil
}

// orphans begins the keys of namespaces, which no UID does.
const orphans = "orphans in "

// Of returns what has this controller.
func (b ByController[T]) Of(controller types.UID) []T { return b.find(string(controller)) }

// Orphans returns what has no controller in a namespace.
func (b ByController[T]) Orphans(namespace string) []T { return b.find(orphans + namespace) }

// Candidates returns what a parent may have: its own and the orphans of its namespace.
func (b ByController[T]) Candidates(parent metav1.Object) []T {
	return append(b.Of(parent.GetUID()), b.Orphans(parent.GetNamespace())...)
}

func (b ByController[T]) find(key string) (all []T) {
	objs, err := b.indexer.ByIndex(controllerIndex, key)
	if err != nil {
		panic(err) // there is the index
	}
	for _, obj := range objs {
		if o, ok := obj.(T); ok {
			all = append(all, o)
		}
	}
	return all
}
