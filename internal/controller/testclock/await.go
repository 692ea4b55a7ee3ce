package testclock

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

const mergePatch = types.MergePatchType

var byName = fields.OneTermEqualSelector("metadata.name", ConfigMap).String()

// read returns the ConfigMap and the version of the whole store that it was read
// at: that of the ConfigMap alone is soon too old to watch from. It fails with a
// NotFound error; the version is valid then too.
func read(ctx context.Context, client kubernetes.Interface) (*corev1.ConfigMap, string, error) {
	list, err := client.CoreV1().ConfigMaps(Namespace).List(ctx, metav1.ListOptions{FieldSelector: byName})
	if err != nil {
		return nil, "", err
	}
	for i := range list.Items {
		if list.Items[i].Name == ConfigMap {
			return &list.Items[i], list.ResourceVersion, nil
		}
	}
	return nil, list.ResourceVersion, apierrors.NewNotFound(corev1.Resource("configmaps"), ConfigMap)
}

// watchFrom watches the ConfigMap for what comes after version.
func watchFrom(ctx context.Context, client kubernetes.Interface, version string) (watch.Interface, error) {
	w, err := client.CoreV1().ConfigMaps(Namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector:   byName,
		ResourceVersion: version,
	})
	if err != nil {
		return nil, fmt.Errorf("watching the stored offset: %w", err)
	}
	return w, nil
}

// awaitApplied returns once the server has reported that it applied offset.
func awaitApplied(ctx context.Context, w watch.Interface, offset string) error {
	for {
		select {
		case event, ok := <-w.ResultChan():
			if event.Type == watch.Error {
				return fmt.Errorf("waiting for the clock: %w; the offset is stored and will be applied", apierrors.FromObject(event.Object))
			}
			if !ok {
				return errors.New("waiting for the clock: the watch ended; the offset is stored and will be applied")
			}
			if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Data[Applied] == offset {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for the clock: %w", ctx.Err())
		}
	}
}
