package run

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/controller/env"
)

// Commit writes after where it differs from before, which is what was read, and
// returns what is stored then. The resource version of before makes it fail where
// somebody else has written meanwhile.
type Commit[T runtime.Object] func(ctx context.Context, before, after T) (T, error)

// Commits returns a Commit that writes by write, the Update or UpdateStatus of a
// client. It changes neither object.
func Commits[T runtime.Object](e env.Env, write func(ctx context.Context, after T, options metav1.UpdateOptions) (T, error)) Commit[T] {
	return func(ctx context.Context, before, after T) (T, error) {
		if equality.Semantic.DeepEqual(before, after) {
			e.Metrics.Wrote(e.Name, env.Unchanged)
			return before, nil
		}
		stored, err := write(ctx, after, metav1.UpdateOptions{})
		if err != nil {
			e.Metrics.Wrote(e.Name, env.Failed)
			return stored, err
		}
		e.Metrics.Wrote(e.Name, env.Written)
		return stored, nil
	}
}

// Moot reports whether a failed creation needs no second try: the object is there, or
// its namespace is gone or on its way out.
func Moot(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// Overtaken reports whether a write failed because somebody else was faster: the object
// is gone, or has changed, or is another one of its name by now. A watch brings what is
// new.
func Overtaken(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
