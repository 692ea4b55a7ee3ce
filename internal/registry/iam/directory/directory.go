// Package directory is what IAM knows as it is kept in the cluster: an iam.Store over the
// storages of the kinds of iam.laterna.dev, and over the Secrets that hold long-term keys.
//
// It owns how values of internal/aws/iam become objects and back. Every read asks the
// store itself, so that whoever was told of a role finds it; nothing is kept in memory.
// What objects may be is checked by the kinds' own packages, as for kubectl; audit and
// admission see none of it.
package directory

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	"laterna.dev/laterna/internal/aws/iam"
)

// Config is what a directory is made of: the storages of the kinds.
type Config struct {
	Roles, Policies, Providers rest.StandardStorage
	Secrets                    rest.Getter
}

// Directory implements iam.Store.
type Directory struct {
	roles     shelf
	policies  shelf
	providers shelf
	secrets   rest.Getter
}

var _ iam.Store = (*Directory)(nil)

// New returns a directory. It begins nothing.
func New(c Config) *Directory {
	return &Directory{
		roles: shelf{"role", c.Roles}, policies: shelf{"policy", c.Policies}, providers: shelf{"provider", c.Providers},
		secrets: c.Secrets,
	}
}

// attempts is how often an update is tried while others win.
const attempts = 8

// shelf is the storage of one kind.
type shelf struct {
	kind    string
	objects rest.StandardStorage
}

func cluster(ctx context.Context) context.Context {
	return request.WithNamespace(ctx, metav1.NamespaceNone)
}

// explain makes an error of a storage one of an iam.Store.
func (s shelf) explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s %s: %w", s.kind, name, iam.ErrNotFound)
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s %s: %w", s.kind, name, iam.ErrExists)
	case apierrors.IsInvalid(err):
		return fmt.Errorf("%w: %w", iam.ErrInvalid, err)
	}
	return fmt.Errorf("%s %s: %w", s.kind, name, err)
}

func (s shelf) get(ctx context.Context, name string) (runtime.Object, error) {
	obj, err := s.objects.Get(cluster(ctx), name, &metav1.GetOptions{})
	return obj, s.explain(name, err)
}

func (s shelf) create(ctx context.Context, name string, obj runtime.Object) (runtime.Object, error) {
	made, err := s.objects.Create(cluster(ctx), obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	return made, s.explain(name, err)
}

// update has an object changed, again where others wrote it in between.
func (s shelf) update(ctx context.Context, name string, change func(runtime.Object) error) (runtime.Object, error) {
	for range attempts {
		obj, err := s.get(ctx, name)
		if err != nil {
			return nil, err
		}
		obj = obj.DeepCopyObject()
		if err := change(obj); err != nil {
			return nil, err
		}
		written, _, err := s.objects.Update(cluster(ctx), name, rest.DefaultUpdatedObjectInfo(obj), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			return written, s.explain(name, err)
		}
	}
	return nil, fmt.Errorf("%s %s: %w", s.kind, name, iam.ErrConflict)
}

// delete deletes the object that may agreed to, and no other.
func (s shelf) delete(ctx context.Context, name string, may func(runtime.Object) error) error {
	for range attempts {
		obj, err := s.get(ctx, name)
		if err != nil {
			return err
		}
		if err := may(obj); err != nil {
			return err
		}
		o, err := meta.Accessor(obj)
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.kind, name, err)
		}
		version := o.GetResourceVersion()
		_, _, err = s.objects.Delete(cluster(ctx), name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{ResourceVersion: &version},
		})
		if !apierrors.IsConflict(err) {
			return s.explain(name, err)
		}
	}
	return fmt.Errorf("%s %s: %w", s.kind, name, iam.ErrConflict)
}

// list returns at most limit objects whose names come at or behind from, in their order.
func (s shelf) list(ctx context.Context, from string, limit int) (runtime.Object, error) {
	const prefix = "/"
	token, err := storage.EncodeContinue(prefix+from, prefix, latest)
	if err != nil {
		return nil, fmt.Errorf("listing from %s %s: %w", s.kind, from, err)
	}
	list, err := s.objects.List(cluster(ctx), &internalversion.ListOptions{Limit: int64(limit), Continue: token})
	return list, s.explain("list", err)
}

// latest is the revision of a list that goes on with what is there now.
const latest = -1

// as asserts what a storage holds.
func as[T runtime.Object](obj runtime.Object, err error) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, errors.New("the storage holds another type of objects")
	}
	return t, nil
}

// page collects the values of an account behind a name, until there are limit of them or
// no more. read returns the objects of a list as values with their keys.
func page[T any](ctx context.Context, s shelf, account, after string, limit int, read func(runtime.Object) ([]T, []string, error)) ([]T, error) {
	var all []T
	from := account + ":"
	if after != "" {
		from = after + "\x00"
	}
	for len(all) < limit {
		obj, err := s.list(ctx, from, limit-len(all))
		if err != nil {
			return nil, err
		}
		values, keys, err := read(obj)
		if err != nil {
			return nil, err
		}
		for i, key := range keys {
			if a, _, _ := iam.SplitKey(key); a != account {
				return append(all, values[:i]...), nil
			}
		}
		all = append(all, values...)
		// A list may be shorter than was asked for: what cannot be read is left out of it.
		list, err := meta.ListAccessor(obj)
		if err != nil || list.GetContinue() == "" || len(keys) == 0 {
			return all, err
		}
		from = keys[len(keys)-1] + "\x00"
	}
	return all, nil
}
