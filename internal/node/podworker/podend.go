package podworker

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
)

// end ends a pod that is deleted or gone: containers with their grace period, then
// sandbox and volumes, then the object in the API, then what is left on the
// runtime. Each part may be done again. It returns the pause before the next try.
func (w *Worker) end(s *step) time.Duration {
	w.volumes.cancel()
	if pause := w.ender.stopAll(s, lifecycle.GraceLeft(s.pod, w.rt(), w.deps.Wall.Now())); pause > 0 {
		return pause
	}
	if !s.gone {
		w.reporter.report(s.pod, true)
	}
	if pause := w.release(s); pause > 0 {
		return pause
	}
	if !s.gone {
		w.reporter.writer.Flush(s.ctx)
		if err := w.deletePod(s.ctx, s.pod); err != nil {
			w.log("pod not deleted", "error", err)
			return again
		}
	}
	w.finished = true
	if err := w.ender.sweep(s.ctx, s.pod); err != nil {
		w.log("containers of deleted pod not removed", "error", err)
		return again
	}
	w.ended = true
	return 0
}

// release frees the pod's volumes and control group.
func (w *Worker) release(s *step) time.Duration {
	w.volumes.cancel()
	w.deps.SubPaths.Forget(w.uid)
	w.deps.Updates.Forget(w.uid)
	if err := w.deps.Volumes.Teardown(s.ctx, w.uid); err != nil {
		w.log("volumes not torn down", "error", err)
		return again
	}
	w.deps.Updates.Forget(w.uid) // of what was published meanwhile
	w.deps.Projections.Remove(s.ctx, w.uid)
	if err := w.deps.Groups.RemovePod(w.uid); err != nil {
		// Processes that are on their way out may still be in it.
		w.log("control group not removed", "error", err)
		return again
	}
	return 0
}

// deletePod removes the object. Another pod of the same name is not touched.
func (w *Worker) deletePod(ctx context.Context, pod *corev1.Pod) error {
	now, uid := int64(0), w.uid
	err := w.deps.Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
