// Package event serves the Event kind of events.k8s.io/v1. Its objects are those of
// core/v1, in the words of the newer API: what is written by one is read by the other.
//
// How events are stored, checked and shown lives in internal/registry/core/event.
package event

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource"
)

// Register tells s by which fields events may be selected, and what those are called in
// the store.
func Register(s *runtime.Scheme) error {
	names := map[string]string{
		"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace",
		"reason": "reason", "type": "type", "reportingController": "reportingComponent",
	}
	for _, name := range []string{"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"} {
		names["regarding."+name] = "involvedObject." + name
	}
	return s.AddFieldLabelConversionFunc(eventsv1.SchemeGroupVersion.WithKind("Event"), func(label, value string) (string, string, error) {
		name, ok := names[label]
		if !ok {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return name, value, nil
	})
}

// Storage serves events. It translates what comes and goes, and has core's storage do the
// rest.
type Storage struct {
	core *resource.Store[*corev1.Event]
}

// NewStorage returns the storage over that of core/v1, by path.
func NewStorage(core *resource.Store[*corev1.Event]) map[string]rest.Storage {
	return map[string]rest.Storage{"events": &Storage{core}}
}

var (
	_ rest.StandardStorage      = &Storage{}
	_ rest.Scoper               = &Storage{}
	_ rest.SingularNameProvider = &Storage{}
	_ rest.ShortNamesProvider   = &Storage{}
)

// New implements rest.Storage.
func (s *Storage) New() runtime.Object { return &eventsv1.Event{} }

// NewList implements rest.Lister.
func (s *Storage) NewList() runtime.Object { return &eventsv1.EventList{} }

// Destroy implements rest.Storage; core's storage owns the connection.
func (s *Storage) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (s *Storage) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (s *Storage) GetSingularName() string { return s.core.GetSingularName() }

// ShortNames implements rest.ShortNamesProvider.
func (s *Storage) ShortNames() []string { return s.core.ShortNames() }

// Get implements rest.Getter.
func (s *Storage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return answer(s.core.Get(ctx, name, options))
}

// List implements rest.Lister.
func (s *Storage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	return answer(s.core.List(ctx, options))
}

// Watch implements rest.Watcher.
func (s *Storage) Watch(ctx context.Context, options *metainternal.ListOptions) (watch.Interface, error) {
	w, err := s.core.Watch(ctx, options)
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
		e.Object = show(e.Object)
		return e, true
	}), nil
}

// Create implements rest.Creater.
func (s *Storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return answer(s.core.Create(ctx, store(obj), validating(validate), options))
}

// Update implements rest.Updater.
func (s *Storage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if validate := update; validate != nil {
		update = func(ctx context.Context, obj, old runtime.Object) error { return validate(ctx, show(obj), show(old)) }
	}
	obj, created, err := s.core.Update(ctx, name, translated{info}, validating(create), update, force, options)
	if err != nil {
		return nil, false, err
	}
	return show(obj), created, nil
}

// translated is an update of an event in its newer form.
type translated struct{ rest.UpdatedObjectInfo }

// UpdatedObject implements rest.UpdatedObjectInfo.
func (t translated) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	obj, err := t.UpdatedObjectInfo.UpdatedObject(ctx, show(old))
	if err != nil {
		return nil, err
	}
	return store(obj), nil
}

// Delete implements rest.GracefulDeleter.
func (s *Storage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, now, err := s.core.Delete(ctx, name, validating(validate), options)
	if err != nil {
		return nil, false, err
	}
	return show(obj), now, nil
}

// DeleteCollection implements rest.CollectionDeleter.
func (s *Storage) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternal.ListOptions) (runtime.Object, error) {
	return answer(s.core.DeleteCollection(ctx, validating(validate), options, list))
}

// ConvertToTable implements rest.TableConvertor: events look the same by either API.
func (s *Storage) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return s.core.ConvertToTable(ctx, store(obj), options)
}

// validating has admission see the newer form.
func validating(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	if validate == nil {
		return nil
	}
	return func(ctx context.Context, obj runtime.Object) error { return validate(ctx, show(obj)) }
}

func answer(obj runtime.Object, err error) (runtime.Object, error) {
	if err != nil {
		return nil, err
	}
	return show(obj), nil
}
