package namespace

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"laterna.dev/laterna/internal/registry/resource"
)

// namespaceStorage serves namespaces. It offers the verbs of the store one by one,
// because a namespace is deleted in two steps and, as upstream, never as part of
// a collection.
type namespaceStorage struct {
	store *resource.Store[*corev1.Namespace]
}

var (
	_ rest.Storage                = &namespaceStorage{}
	_ rest.Scoper                 = &namespaceStorage{}
	_ rest.Getter                 = &namespaceStorage{}
	_ rest.Lister                 = &namespaceStorage{}
	_ rest.Watcher                = &namespaceStorage{}
	_ rest.CreaterUpdater         = &namespaceStorage{}
	_ rest.GracefulDeleter        = &namespaceStorage{}
	_ rest.SingularNameProvider   = &namespaceStorage{}
	_ rest.ShortNamesProvider     = &namespaceStorage{}
	_ rest.StorageVersionProvider = &namespaceStorage{}
	_ rest.ResetFieldsStrategy    = &namespaceStorage{}
)

func (s *namespaceStorage) New() runtime.Object                    { return s.store.New() }
func (s *namespaceStorage) NewList() runtime.Object                { return s.store.NewList() }
func (s *namespaceStorage) Destroy()                               { s.store.Destroy() }
func (s *namespaceStorage) NamespaceScoped() bool                  { return false }
func (s *namespaceStorage) GetSingularName() string                { return s.store.GetSingularName() }
func (s *namespaceStorage) ShortNames() []string                   { return s.store.ShortNames() }
func (s *namespaceStorage) StorageVersion() runtime.GroupVersioner { return s.store.StorageVersion() }

func (s *namespaceStorage) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.store.GetResetFields()
}

func (s *namespaceStorage) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

func (s *namespaceStorage) List(ctx context.Context, options *metainternal.ListOptions) (runtime.Object, error) {
	return s.store.List(ctx, options)
}

func (s *namespaceStorage) Watch(ctx context.Context, options *metainternal.ListOptions) (watch.Interface, error) {
	return s.store.Watch(ctx, options)
}

func (s *namespaceStorage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return s.store.Create(ctx, obj, validate, options)
}

func (s *namespaceStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, create, update, force, options)
}

func (s *namespaceStorage) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, obj, options)
}

// Delete implements rest.GracefulDeleter. The first call marks the namespace as
// Terminating; it is removed by a later call, or by the update that clears
// spec.finalizers, once those are empty. In between a call changes nothing.
func (s *namespaceStorage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	current := obj.(*corev1.Namespace)
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	if options.Preconditions.UID == nil {
		options.Preconditions.UID = &current.UID
	} else if want := *options.Preconditions.UID; want != current.UID {
		return nil, false, apierrors.NewConflict(corev1.Resource("namespaces"), name,
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", want, current.UID))
	}
	switch {
	case current.DeletionTimestamp.IsZero():
		out, err := s.terminate(ctx, name, validate, options)
		return out, false, err
	case len(current.Spec.Finalizers) != 0:
		return current, false, nil
	}
	return s.store.Delete(ctx, name, validate, options)
}

// terminate sets the deletion timestamp and the phase Terminating.
func (s *namespaceStorage) terminate(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, error) {
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	out := s.store.New()
	preconditions := &storage.Preconditions{UID: options.Preconditions.UID, ResourceVersion: options.Preconditions.ResourceVersion}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions,
		storage.SimpleUpdate(func(existing runtime.Object) (runtime.Object, error) {
			n := existing.(*corev1.Namespace)
			if err := validate(ctx, n); err != nil {
				return nil, err
			}
			if n.DeletionTimestamp.IsZero() {
				now := metav1.Now()
				n.DeletionTimestamp = &now
			}
			n.Status.Phase = corev1.NamespaceTerminating
			return n, nil
		}), dryrun.IsDryRun(options.DryRun), nil)
	if err != nil {
		return nil, statusError(err, name)
	}
	return out, nil
}

func statusError(err error, name string) error {
	err = storeerr.InterpretGetError(err, corev1.Resource("namespaces"), name)
	err = storeerr.InterpretUpdateError(err, corev1.Resource("namespaces"), name)
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return apierrors.NewInternalError(err)
	}
	return err
}

// finalizeStorage serves namespaces/finalize: a PUT of spec.finalizers.
type finalizeStorage struct {
	part *resource.Subresource[*corev1.Namespace]
}

var (
	_ rest.Storage             = &finalizeStorage{}
	_ rest.Updater             = &finalizeStorage{}
	_ rest.ResetFieldsStrategy = &finalizeStorage{}
)

func (f *finalizeStorage) New() runtime.Object { return f.part.New() }

// Destroy implements rest.Storage; the main storage owns the connection.
func (f *finalizeStorage) Destroy() {}

func (f *finalizeStorage) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return f.part.GetResetFields()
}

func (f *finalizeStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return f.part.Update(ctx, name, info, create, update, force, options)
}
