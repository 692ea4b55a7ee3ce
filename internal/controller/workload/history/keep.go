package history

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/workload"
)

// Kind is what workload.Written knows revisions by.
const Kind = "controllerrevisions"

// Keeper writes revisions, and notes that it did.
type Keeper struct {
	Env     env.Env
	Written *workload.Written
}

// mostCollisions is how many names are tried for a revision before it is tried again
// later.
const mostCollisions = 20

// Create stores a new revision of a parent under a name that stamp gives it, by the count
// of collisions. A revision of that name that is the parent's, or nobody's, and holds the
// same is the one. Another one's is a collision; what is returned last is their count.
func (k *Keeper) Create(ctx context.Context, parent metav1.Object, r *appsv1.ControllerRevision, collisions int32, stamp func(r *appsv1.ControllerRevision, collisions int32)) (*appsv1.ControllerRevision, int32, error) {
	client := k.Env.Client.AppsV1().ControllerRevisions(r.Namespace)
	for range mostCollisions {
		stamped := r.DeepCopy()
		stamp(stamped, collisions)
		stored, err := client.Create(ctx, stamped, metav1.CreateOptions{})
		if err == nil {
			k.Written.Wrote(parent.GetUID(), Kind, stored)
			return stored, collisions, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, collisions, fmt.Errorf("creating revision %s: %w", stamped.Name, err)
		}
		there, err := client.Get(ctx, stamped.Name, metav1.GetOptions{})
		if err != nil {
			return nil, collisions, fmt.Errorf("reading revision %s: %w", stamped.Name, err)
		}
		owner := metav1.GetControllerOf(there)
		if string(there.Data.Raw) == string(r.Data.Raw) && there.DeletionTimestamp == nil && (owner == nil || owner.UID == parent.GetUID()) {
			k.Written.Wrote(parent.GetUID(), Kind, there)
			return there, collisions, nil
		}
		collisions++
	}
	return nil, collisions, fmt.Errorf("creating a revision of %s: %d names are taken by others", parent.GetName(), mostCollisions)
}

// Raise makes a revision of a parent the one with a number.
func (k *Keeper) Raise(ctx context.Context, parent metav1.Object, r *appsv1.ControllerRevision, number int64) (*appsv1.ControllerRevision, error) {
	raised := r.DeepCopy()
	raised.Revision = number
	return k.update(ctx, parent, raised)
}

// Label gives a revision of a parent a label.
func (k *Keeper) Label(ctx context.Context, parent metav1.Object, r *appsv1.ControllerRevision, key, value string) (*appsv1.ControllerRevision, error) {
	labelled := r.DeepCopy()
	if labelled.Labels == nil {
		labelled.Labels = map[string]string{}
	}
	labelled.Labels[key] = value
	return k.update(ctx, parent, labelled)
}

func (k *Keeper) update(ctx context.Context, parent metav1.Object, changed *appsv1.ControllerRevision) (*appsv1.ControllerRevision, error) {
	stored, err := k.Env.Client.AppsV1().ControllerRevisions(changed.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("updating revision %s: %w", changed.Name, err)
	}
	k.Written.Wrote(parent.GetUID(), Kind, stored)
	return stored, nil
}

// Delete deletes a revision of a parent. One that is gone is no error.
func (k *Keeper) Delete(ctx context.Context, parent metav1.Object, r *appsv1.ControllerRevision) error {
	err := k.Env.Client.AppsV1().ControllerRevisions(r.Namespace).Delete(ctx, r.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(r.UID))})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting revision %s: %w", r.Name, err)
	}
	k.Written.Deleted(parent.GetUID(), Kind, r)
	return nil
}

// Patch sends a strategic merge patch of a revision, as workload.Claims does.
func (k *Keeper) Patch(ctx context.Context, r *appsv1.ControllerRevision, patch []byte) error {
	_, err := k.Env.Client.AppsV1().ControllerRevisions(r.Namespace).Patch(ctx, r.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	return err
}
