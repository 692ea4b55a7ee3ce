package testclock

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

const mergePatch = types.MergePatchType

// watchFrom watches the ConfigMap for what comes after cm.
func watchFrom(ctx context.Context, client kubernetes.Interface, cm *corev1.ConfigMap) (watch.Interface, error) {
	w, err := client.CoreV1().ConfigMaps(Namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", Name).String(),
		ResourceVersion: cm.ResourceVersion,
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
