package rootca

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
)

const (
	// name and key are where pods expect the bundle.
	name = "kube-root-ca.crt"
	key  = "ca.crt"

	describedBy = "kubernetes.io/description"
	description = "The certificates to verify the API server with. They vouch for its internal names, " +
		"such as kubernetes.default.svc and the address of that service, and for no other server of this or another system."
)

// reconciler decides about one namespace; its fields read from caches and write to
// the API.
type reconciler struct {
	bundle    string
	namespace func(name string) (*corev1.Namespace, error)
	current   func(namespace string) (*corev1.ConfigMap, error)
	create    func(ctx context.Context, c *corev1.ConfigMap) error
	update    run.Commit[*corev1.ConfigMap]
	remove    func(ctx context.Context, c *corev1.ConfigMap) error
}

// reconcile makes or mends the ConfigMap of an active namespace.
func (r reconciler) reconcile(ctx context.Context, namespace string) error {
	n, err := r.namespace(namespace)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading namespace: %w", err)
	case n.Status.Phase != corev1.NamespaceActive:
		return nil
	}
	have, err := r.current(namespace)
	switch {
	case apierrors.IsNotFound(err):
		if err := r.create(ctx, r.wanted(namespace)); err != nil && !run.Moot(err) {
			return fmt.Errorf("creating ConfigMap %s: %w", name, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading ConfigMap %s: %w", name, err)
	case r.good(have):
		return nil
	case have.Immutable != nil && *have.Immutable:
		// It cannot be mended; its deletion brings a new one.
		if err := r.remove(ctx, have); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing immutable ConfigMap %s: %w", name, err)
		}
		return nil
	}
	if _, err := r.update(ctx, have, r.mended(have)); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("repairing ConfigMap %s: %w", name, err)
	}
	return nil
}

func (r reconciler) wanted(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   namespace,
			Name:        name,
			Annotations: map[string]string{describedBy: description},
		},
		Data: map[string]string{key: r.bundle},
	}
}

func (r reconciler) good(c *corev1.ConfigMap) bool {
	return len(c.BinaryData) == 0 && maps.Equal(c.Data, map[string]string{key: r.bundle}) && c.Annotations[describedBy] != ""
}

// mended keeps the labels and annotations that others have set.
func (r reconciler) mended(c *corev1.ConfigMap) *corev1.ConfigMap {
	c = c.DeepCopy()
	c.Data, c.BinaryData = map[string]string{key: r.bundle}, nil
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	if c.Annotations[describedBy] == "" {
		c.Annotations[describedBy] = description
	}
	return c
}
