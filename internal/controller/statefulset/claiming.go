package statefulset

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// claimsOf makes the claims that a pod lacks before the pod is made. waits is true while
// one is to go with an earlier pod of the name.
func (w *work) claimsOf(ctx context.Context, pod *corev1.Pod, n int64) (waits bool, err error) {
	var errs []error
	for i := range w.set.Spec.VolumeClaimTemplates {
		t := &w.set.Spec.VolumeClaimTemplates[i]
		claim := w.claim(w.set.Namespace)(claimName(w.set, t, n))
		switch {
		case claim == nil:
			errs = append(errs, w.makeClaim(ctx, newClaim(w.set, t, n), pod.Name))
		case goesWithAnother(pod.Name, claim):
			waits = true
		case claim.DeletionTimestamp != nil:
			errs = append(errs, fmt.Errorf("pvc %s is being deleted", claim.Name))
		default:
			errs = append(errs, w.hand(ctx, nil, n, claim))
		}
	}
	return waits, errors.Join(errs...)
}

// settle makes the claims that a pod lacks which waits for them, and says whom its claims
// go with.
func (w *work) settle(ctx context.Context, pod *corev1.Pod, n int64) error {
	var errs []error
	for i := range w.set.Spec.VolumeClaimTemplates {
		t := &w.set.Spec.VolumeClaimTemplates[i]
		claim := w.claim(w.set.Namespace)(claimName(w.set, t, n))
		switch {
		case claim != nil:
			errs = append(errs, w.hand(ctx, pod, n, claim))
		case ordinalsOf(w.set).has(n) && pod.Status.Phase == corev1.PodPending:
			errs = append(errs, w.makeClaim(ctx, newClaim(w.set, t, n), pod.Name))
		}
	}
	return errors.Join(errs...)
}

func (w *work) makeClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, pod string) error {
	claim.OwnerReferences, _ = owners(w.set, nil, false, claim)
	_, err := w.env.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Create(ctx, claim, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil // the cache has yet to see it
	case err != nil:
		w.loop.Events().Eventf(w.set, corev1.EventTypeWarning, "FailedCreate", "create Claim %s for Pod %s in StatefulSet %s failed error: %v", claim.Name, pod, w.set.Name, err)
		return fmt.Errorf("failed to create PVC %s: %w", claim.Name, err)
	}
	w.loop.Events().Eventf(w.set, corev1.EventTypeNormal, "SuccessfulCreate", "create Claim %s Pod %s in StatefulSet %s success", claim.Name, pod, w.set.Name)
	return nil
}

// hand gives a claim to those whom it goes with.
func (w *work) hand(ctx context.Context, pod *corev1.Pod, n int64, claim *corev1.PersistentVolumeClaim) error {
	wanted, differ := owners(w.set, pod, !ordinalsOf(w.set).has(n), claim)
	if !differ || claim.DeletionTimestamp != nil {
		return nil
	}
	claim = claim.DeepCopy()
	claim.OwnerReferences = wanted
	_, err := w.env.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Update(ctx, claim, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("saying whom claim %s goes with: %w", claim.Name, err)
	}
	return nil
}
