package podprojection

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/controller/run"
)

// reconciler decides about one object; its fields read from caches and from the API,
// and write to it.
type reconciler struct {
	// object returns nil where there is none.
	object func(namespace, name string) metav1.Object
	cached func(namespace, name string) (*corev1.Pod, error)
	live   func(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	remove func(ctx context.Context, namespace, name string, uid types.UID) error
}

// reconcile deletes an object whose owner is not the pod of its name. Absence from the
// cache is not enough: the API is asked.
func (r reconciler) reconcile(ctx context.Context, namespace, name string) error {
	object := r.object(namespace, name)
	if object == nil {
		return nil
	}
	if pod, err := r.cached(namespace, name); err == nil && owned(object, pod) {
		return nil
	}
	pod, err := r.live(ctx, namespace, name)
	switch {
	case err == nil && owned(object, pod):
		return nil
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("reading pod: %w", err)
	}
	err = r.remove(ctx, namespace, name, object.GetUID())
	if err != nil && !run.Overtaken(err) {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}

func owned(object metav1.Object, pod *corev1.Pod) bool {
	for _, o := range object.GetOwnerReferences() {
		if o.UID == pod.UID {
			return true
		}
	}
	return false
}
