package serviceaccount

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/controller/run"
)

// name is that of the account that every namespace has.
const name = "default"

// reconciler decides about one namespace; its fields read from caches and write to
// the API.
type reconciler struct {
	namespace func(name string) (*corev1.Namespace, error)
	account   func(namespace string) (*corev1.ServiceAccount, error)
	create    func(ctx context.Context, sa *corev1.ServiceAccount) error
}

// reconcile creates the default account where an active namespace has none.
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
	if _, err := r.account(namespace); err == nil {
		return nil
	} else if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading default service account: %w", err)
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := r.create(ctx, sa); err != nil && !run.Moot(err) {
		return fmt.Errorf("creating default service account: %w", err)
	}
	return nil
}
