package testclock

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/follow"
)

const mergePatch = types.MergePatchType

// object is the ConfigMap with the offset.
func object(client kubernetes.Interface) follow.Object[*corev1.ConfigMap] {
	maps := client.CoreV1().ConfigMaps(Namespace)
	return follow.Object[*corev1.ConfigMap]{
		Name: ConfigMap,
		List: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return maps.List(ctx, options)
		},
		Watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := maps.Watch(ctx, options)
			if err != nil {
				return nil, fmt.Errorf("watching the stored offset: %w", err)
			}
			return w, nil
		},
	}
}

// errMissing is that a system runs without a test clock.
var errMissing = apierrors.NewNotFound(corev1.Resource("configmaps"), ConfigMap)

// awaitApplied returns once the server has reported that it applied offset.
func awaitApplied(ctx context.Context, w *follow.Watch[*corev1.ConfigMap], offset string) error {
	for {
		cm, _, err := w.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for the clock: %w", ctx.Err())
		case err != nil:
			return fmt.Errorf("waiting for the clock: %w; the offset is stored and will be applied", err)
		case cm.Data[Applied] == offset:
			return nil
		}
	}
}
