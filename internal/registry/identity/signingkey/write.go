package signingkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/apiserver/pkg/warning"

	"laterna.dev/laterna/api/identity/v1alpha1"
	"laterna.dev/laterna/internal/tokens/keys"

	"laterna.dev/laterna/internal/registry/bounds"
)

// Create implements rest.Creater: it rotates. A dry run says what would be, without the
// key, which it does not make.
func (s *storage) Create(ctx context.Context, obj runtime.Object, admit rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	wish, ok := obj.(*object)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a SigningKey: %T", obj))
	}
	warn(ctx, wish)
	want := &object{Spec: wish.Spec}
	if want.Spec.Activation == "" {
		want.Spec.Activation = v1alpha1.Scheduled
	}
	if errs := validate(&wish.ObjectMeta, &want.Spec); len(errs) > 0 {
		return nil, bounds.Invalid(groupKind, wish.Name, errs)
	}
	if admit != nil {
		if err := admit(ctx, want.DeepCopy()); err != nil {
			return nil, err
		}
	}
	if dryrun.IsDryRun(options.DryRun) {
		return s.rehearse(ctx, want)
	}
	k, rev, err := s.ring.Rotate(ctx, keys.Rotation{
		Type:      keys.Type(want.Spec.Type),
		Immediate: want.Spec.Activation == v1alpha1.Immediate,
	})
	if err != nil {
		return nil, explain("", err)
	}
	made, err := toObject(&k, rev)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return made, nil
}

// rehearse answers a dry run of a rotation.
func (s *storage) rehearse(ctx context.Context, want *object) (runtime.Object, error) {
	if err := s.ring.Refresh(ctx); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	all, _, err := s.ring.List(ctx)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	k, err := keys.Rehearse(all, keys.Rotation{
		Type:      keys.Type(want.Spec.Type),
		Immediate: want.Spec.Activation == v1alpha1.Immediate,
	}, s.clock.Now())
	if err != nil {
		return nil, explain("", err)
	}
	want.Spec.Type = v1alpha1.KeyType(k.Type)
	want.CreationTimestamp = metav1.NewTime(k.Published)
	want.Status = v1alpha1.SigningKeyStatus{
		Algorithm: string(k.Type.Algorithm()),
		State:     v1alpha1.KeyState(k.State),
		Published: timeOf(k.Published),
		SignsFrom: timeOf(k.SignsFrom),
	}
	return want, nil
}

// errRehearsed stops a withdrawal that is a dry run.
var errRehearsed = errors.New("dry run")

// Delete implements rest.GracefulDeleter: it withdraws a key, at once.
func (s *storage) Delete(ctx context.Context, name string, admit rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := s.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	if options == nil {
		options = &metav1.DeleteOptions{}
	}
	err = s.ring.Withdraw(ctx, obj.(*object).Status.KeyID, func(k keys.Key, rev int64) error {
		now, err := toObject(&k, rev)
		if err != nil {
			return err
		}
		if err := precondition(now, options.Preconditions); err != nil {
			return err
		}
		if admit != nil {
			if err := admit(ctx, now.DeepCopy()); err != nil {
				return err
			}
		}
		if k.State == keys.Signing {
			return keys.ErrSigns
		}
		if dryrun.IsDryRun(options.DryRun) {
			return errRehearsed
		}
		return nil
	})
	if err != nil && !errors.Is(err, errRehearsed) {
		return nil, false, explain(name, err)
	}
	return nil, true, nil
}

func precondition(k *object, want *metav1.Preconditions) error {
	if want == nil {
		return nil
	}
	check := apistorage.Preconditions{UID: want.UID, ResourceVersion: want.ResourceVersion}
	if err := check.Check(k.Name, k); err != nil {
		return apierrors.NewConflict(groupResource, k.Name, err)
	}
	return nil
}

// explain says to a client why the ring refuses.
func explain(name string, err error) error {
	var status apierrors.APIStatus
	var pending *keys.PendingError
	switch {
	case errors.As(err, &status):
		return err
	case errors.As(err, &pending):
		name, _, _ := nameOf(pending.Key.ID)
		return apierrors.NewConflict(groupResource, name, fmt.Errorf(
			"a rotation is under way, this key is published and signs from %s: delete it first, or ask for activation %s",
			pending.Key.SignsFrom.Format(time.RFC3339), v1alpha1.Immediate))
	case errors.Is(err, keys.ErrSigns):
		return apierrors.NewConflict(groupResource, name, errors.New(
			"the key signs tokens: rotate first (create a SigningKey with activation Immediate, or `laterna keys rotate --now`), then it can be deleted"))
	case errors.Is(err, keys.ErrNotFound):
		return apierrors.NewNotFound(groupResource, name)
	case errors.Is(err, keys.ErrTooMany):
		return apierrors.NewConflict(groupResource, name, fmt.Errorf("there are %d keys already: delete retired ones", keys.MaxKeys))
	}
	return apierrors.NewInternalError(err)
}

// warn tells what of an object is not kept.
func warn(ctx context.Context, k *object) {
	at := field.NewPath("metadata")
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"labels", len(k.Labels) > 0}, {"annotations", len(k.Annotations) > 0},
		{"finalizers", len(k.Finalizers) > 0}, {"ownerReferences", len(k.OwnerReferences) > 0},
	} {
		if f.given {
			warning.AddWarning(ctx, "", fmt.Sprintf("%s: not kept, a signing key has none", at.Child(f.name)))
		}
	}
}
