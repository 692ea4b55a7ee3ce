package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Claims decides which objects are a parent's: it adopts those without a controller that
// its selector matches, and releases those of its own that it no longer matches.
type Claims[T metav1.Object] struct {
	Parent   metav1.Object
	Kind     schema.GroupVersionKind // of the parent
	Selector labels.Selector
	// Fits narrows what the selector matches. Optional.
	Fits func(T) bool
	// Finalizers are taken off an object that is released.
	Finalizers []string
	// Live reads the parent from the server. It is asked once, before the first adoption.
	Live func(ctx context.Context) (metav1.Object, error)
	// Patch sends a strategic merge patch of an object.
	Patch func(ctx context.Context, obj T, patch []byte) error
}

// Claim returns which of some objects are the parent's by now. The error tells what could
// not be adopted or released; those that could be are returned all the same.
func (c *Claims[T]) Claim(ctx context.Context, all []T) (mine []T, err error) {
	mayAdopt := once(func() error { return c.mayAdopt(ctx) })
	var errs []error
	for _, obj := range all {
		ok, err := c.claim(ctx, obj, mayAdopt)
		if err != nil {
			errs = append(errs, err)
		} else if ok {
			mine = append(mine, obj)
		}
	}
	return mine, errors.Join(errs...)
}

func (c *Claims[T]) claim(ctx context.Context, obj T, mayAdopt func() error) (bool, error) {
	owner := metav1.GetControllerOf(obj)
	matches := c.Selector.Matches(labels.Set(obj.GetLabels())) && (c.Fits == nil || c.Fits(obj))
	ending := c.Parent.GetDeletionTimestamp() != nil
	switch {
	case owner != nil && owner.UID != c.Parent.GetUID():
		return false, nil
	case owner != nil && matches:
		return true, nil
	case owner != nil:
		if ending {
			return false, nil
		}
		return false, c.release(ctx, obj)
	case !matches || ending || obj.GetDeletionTimestamp() != nil || obj.GetNamespace() != c.Parent.GetNamespace():
		return false, nil
	}
	if err := mayAdopt(); err != nil {
		return false, fmt.Errorf("can't adopt %s/%s (%s): %w", obj.GetNamespace(), obj.GetName(), obj.GetUID(), err)
	}
	err := c.Patch(ctx, obj, c.adoption(obj))
	if apierrors.IsNotFound(err) {
		return false, nil // it is gone
	}
	return err == nil, err
}

// mayAdopt returns why the parent may not adopt anything: it is another by now, or on its
// way out, which the cache may not show yet.
func (c *Claims[T]) mayAdopt(ctx context.Context) error {
	live, err := c.Live(ctx)
	switch {
	case err != nil:
		return err
	case live.GetUID() != c.Parent.GetUID():
		return fmt.Errorf("original %s %s/%s is gone: got uid %s, wanted %s", c.Kind.Kind, c.Parent.GetNamespace(), c.Parent.GetName(), live.GetUID(), c.Parent.GetUID())
	case live.GetDeletionTimestamp() != nil:
		return fmt.Errorf("%s/%s has just been deleted at %v", live.GetNamespace(), live.GetName(), live.GetDeletionTimestamp())
	}
	return nil
}

func (c *Claims[T]) adoption(obj T) []byte {
	metadata := map[string]any{
		"uid":             obj.GetUID(),
		"ownerReferences": []metav1.OwnerReference{*metav1.NewControllerRef(c.Parent, c.Kind)},
	}
	if len(c.Finalizers) > 0 {
		metadata["finalizers"] = c.Finalizers
	}
	return encode(map[string]any{"metadata": metadata})
}

func (c *Claims[T]) release(ctx context.Context, obj T) error {
	err := c.Patch(ctx, obj, Release(obj.GetUID(), c.Parent.GetUID(), c.Finalizers...))
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil // it is gone, or is somebody else's already
	}
	return err
}

// Release is the patch that takes an owner, and finalizers, off an object.
func Release(uid, owner types.UID, finalizers ...string) []byte {
	metadata := map[string]any{
		"uid":             uid,
		"ownerReferences": []map[string]any{{"$patch": "delete", "uid": owner}},
	}
	if len(finalizers) > 0 {
		metadata["$deleteFromPrimitiveList/finalizers"] = finalizers
	}
	return encode(map[string]any{"metadata": metadata})
}

// encode is JSON of what always has one.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// once calls f when it is first called, and remembers what it returned.
func once(f func() error) func() error {
	called, err := false, error(nil)
	return func() error {
		if !called {
			called, err = true, f()
		}
		return err
	}
}
