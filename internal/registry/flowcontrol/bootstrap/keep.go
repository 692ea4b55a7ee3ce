// Package bootstrap keeps the flow schemas and priority levels that always exist, as
// Kubernetes has them: the mandatory ones as they are, the suggested ones until somebody
// changes them, and it removes those that an earlier version kept.
//
// It owns what is written and when. What the objects say is the library's
// (k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap), what they mean to requests
// internal/apiserver/fairness's.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/flowcontrol/flowschema"
	"laterna.dev/laterna/internal/registry/resource"
)

// Keep writes what is missing or is not as it should be into storage, which holds both
// kinds by path. It calls the storages directly, without a user, and may run while others
// do the same: what somebody else has written meanwhile is looked at the next time. now is
// the time that new objects tell.
func Keep(ctx context.Context, storage map[string]rest.Storage, now time.Time) error {
	ctx = request.WithNamespace(flowschema.WithFound(ctx, now), metav1.NamespaceNone)
	var writes errgroup.Group
	err := errors.Join(
		keep(ctx, &writes, storage["prioritylevelconfigurations"], levels()),
		keep(ctx, &writes, storage["flowschemas"], schemas()),
	)
	return errors.Join(err, writes.Wait())
}

// keep starts the writes of one kind.
func keep[T resource.Object](ctx context.Context, g *errgroup.Group, storage rest.Storage, k kept[T]) error {
	st, ok := storage.(rest.StandardStorage)
	if !ok {
		return fmt.Errorf("storage of %T is a %T", *new(T), storage)
	}
	have, err := stored[T](ctx, st)
	if err != nil {
		return err
	}
	c := k.plan(have)
	each := func(objects []T, write func(T) error) {
		for _, o := range objects {
			g.Go(func() error {
				if err := write(o); err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
					return fmt.Errorf("keeping %T %q: %w", o, o.GetName(), err)
				}
				return nil
			})
		}
	}
	each(c.create, func(o T) error {
		_, err := st.Create(ctx, o, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		return err
	})
	each(c.update, func(o T) error {
		_, _, err := st.Update(ctx, o.GetName(), rest.DefaultUpdatedObjectInfo(o), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	})
	each(c.remove, func(o T) error {
		uid, revision := o.GetUID(), o.GetResourceVersion()
		only := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &revision}}
		_, _, err := st.Delete(ctx, o.GetName(), rest.ValidateAllObjectFunc, only)
		return err
	})
	return nil
}

func stored[T resource.Object](ctx context.Context, st rest.StandardStorage) (map[string]T, error) {
	list, err := st.List(ctx, &internalversion.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing %T: %w", *new(T), err)
	}
	out := map[string]T{}
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		o := obj.(T)
		out[o.GetName()] = o
		return nil
	})
	return out, err
}
