package podgc

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/controller/run"
)

// reconciler decides about the pods of a node, or about one pod; its fields read
// from caches and from the API, and write to it.
type reconciler struct {
	cached  func(name string) (*corev1.Node, error)
	live    func(ctx context.Context, name string) (*corev1.Node, error)
	podsOf  func(node string) []*corev1.Pod
	fail    func(ctx context.Context, pod *corev1.Pod, condition corev1.PodCondition) error
	remove  func(ctx context.Context, pod *corev1.Pod) error
	missing func(pod *corev1.Pod)
}

// gone tells whether a node is not there. Absence from the cache is not enough: the API
// is asked.
func (r reconciler) gone(ctx context.Context, name string) (bool, error) {
	if _, err := r.cached(name); err == nil {
		return false, nil
	}
	_, err := r.live(ctx, name)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

// tell tells a pod whose node is not there.
func (r reconciler) tell(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	gone, err := r.gone(ctx, pod.Spec.NodeName)
	if gone {
		r.missing(pod)
	}
	return err
}

// node deletes the pods of a node that is gone.
func (r reconciler) node(ctx context.Context, name string) error {
	if gone, err := r.gone(ctx, name); !gone {
		return err
	}
	var failed []error
	for _, pod := range r.podsOf(name) {
		if err := r.orphan(ctx, pod); err != nil && !run.Overtaken(err) {
			failed = append(failed, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err))
		}
	}
	return errors.Join(failed...)
}

func (r reconciler) orphan(ctx context.Context, pod *corev1.Pod) error {
	if pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
		condition := corev1.PodCondition{
			Type:               corev1.DisruptionTarget,
			Status:             corev1.ConditionTrue,
			Reason:             "DeletionByPodGC",
			Message:            "PodGC: node no longer exists",
			ObservedGeneration: pod.Generation,
		}
		if err := r.fail(ctx, pod, condition); err != nil {
			return fmt.Errorf("marking as failed: %w", err)
		}
	}
	return r.remove(ctx, pod)
}

// pod deletes a pod that was deleted before it had a node. Pods that finalizers
// hold are left to those who set them.
func (r reconciler) pod(ctx context.Context, pod *corev1.Pod) error {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp == nil || len(pod.Finalizers) > 0 {
		return nil
	}
	if err := r.remove(ctx, pod); err != nil && !run.Overtaken(err) {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}
