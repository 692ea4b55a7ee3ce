package podworker

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// end ends a pod that is deleted or gone: containers with their grace period, then
// sandbox and volumes, then the object in the API, then what is left on the
// runtime. Each part may be done again. It returns the pause before the next try.
func (w *Worker) end(ctx, wait context.Context, pod *corev1.Pod, gone bool) time.Duration {
	w.volumes.cancel()
	if pause := w.stopAll(ctx, wait, pod, lifecycle.GraceLeft(pod, w.rt(), w.deps.Wall.Now())); pause > 0 {
		return pause
	}
	if !gone {
		w.report(pod, true)
	}
	if pause := w.release(ctx, pod); pause > 0 {
		return pause
	}
	if !gone {
		w.writer.flush(ctx)
		if err := w.deletePod(ctx, pod); err != nil {
			w.log("pod not deleted", "error", err)
			return again
		}
	}
	w.finished = true
	if err := w.sweep(ctx, pod); err != nil {
		w.log("containers of deleted pod not removed", "error", err)
		return again
	}
	w.ended = true
	return 0
}

// stopAll stops the running containers, all at once, and then the sandboxes. It
// returns a pause when it must be called again: the stopping failed, or the pod's
// grace period was cut short meanwhile.
func (w *Worker) stopAll(ctx, wait context.Context, pod *corev1.Pod, grace time.Duration) time.Duration {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	stopped := false
	for _, c := range w.rt().Containers {
		if c.State != cri.ContainerRunning && c.State != cri.ContainerUnknown {
			continue
		}
		stopped = true
		w.killing(pod, c, "Stopping container "+c.Name)
		wg.Go(func() {
			if err := w.deps.Runtime.StopContainer(wait, c.ID, grace); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wait.Err() != nil {
		w.board.markDirty()
		return time.Millisecond
	}
	if failed == nil && stopped {
		_, failed = w.refresh(ctx)
	}
	for _, s := range w.rt().Sandboxes {
		if failed == nil && s.State == cri.SandboxReady {
			failed = w.deps.Runtime.StopSandbox(ctx, s.ID)
		}
	}
	if ctx.Err() != nil {
		return again
	}
	if failed != nil {
		w.log("pod not stopped", "error", failed)
		w.deps.Events.Eventf(events.Pod(pod), corev1.EventTypeWarning, events.KillSandbox, "error killing pod: %s", cri.Message(failed))
		w.board.markDirty()
		return again
	}
	return 0
}

// stopContainer stops one container and learns how it ended.
func (w *Worker) stopContainer(ctx, wait context.Context, c cri.Container, grace time.Duration) error {
	if err := w.deps.Runtime.StopContainer(wait, c.ID, grace); err != nil {
		w.board.markDirty()
		return err
	}
	_, err := w.refresh(ctx)
	return err
}

// killing records once that a container is being stopped.
func (w *Worker) killing(pod *corev1.Pod, c cri.Container, message string) {
	state := w.container(c.Name)
	if state.killed == c.ID || pod.Name == "" {
		return
	}
	state.killed = c.ID
	w.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Killing, message)
}

// release frees the pod's volumes and control group.
func (w *Worker) release(ctx context.Context, pod *corev1.Pod) time.Duration {
	w.volumes.cancel()
	w.deps.SubPaths.Forget(w.uid)
	w.deps.Updates.Forget(w.uid)
	if err := w.deps.Volumes.Teardown(ctx, w.uid); err != nil {
		w.log("volumes not torn down", "error", err)
		return again
	}
	w.deps.Updates.Forget(w.uid) // of what was published meanwhile
	w.deps.Projections.Remove(ctx, w.uid)
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

// sweep removes all that the pod has on the runtime, and its logs.
func (w *Worker) sweep(ctx context.Context, pod *corev1.Pod) error {
	for _, s := range w.rt().Sandboxes {
		if err := w.deps.Runtime.RemoveSandbox(ctx, s.ID); err != nil {
			return err
		}
		w.deps.Inventory.Disown(s.ID)
	}
	for _, c := range w.rt().Containers {
		if err := w.deps.Runtime.RemoveContainer(ctx, c.ID); err != nil {
			return err
		}
		w.deps.Inventory.Disown(c.ID)
	}
	w.board.show(func(s *Snapshot) { s.Runtime = lifecycle.Runtime{} })
	if pod.Name == "" {
		return nil
	}
	return w.deps.Logs.RemoveAll(runspec.LogDir("", pod.Namespace, pod.Name, string(w.uid)))
}

// prune removes dead containers but the newest one before the current, with their
// logs, and the sandboxes that are left empty by that.
func (w *Worker) prune(ctx context.Context) {
	pod := w.board.snapshot().Pod
	containers, sandboxes := lifecycle.Surplus(w.rt())
	for _, c := range containers {
		if err := w.removeContainer(ctx, c); err != nil {
			w.log("dead container not removed", "error", err)
			return
		}
		if err := logs.RemoveLog(w.deps.Logs, runspec.ContainerLog(pod, c.Name, c.Attempt)); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log("old log not removed", "error", err)
		}
	}
	gone := map[string]bool{}
	for _, s := range sandboxes {
		err := w.deps.Runtime.RemoveSandbox(ctx, s.ID)
		if err != nil {
			w.log("dead sandbox not removed", "error", err)
		}
		gone[s.ID] = err == nil
	}
	left := slices.DeleteFunc(slices.Clone(w.rt().Sandboxes), func(s cri.Sandbox) bool { return gone[s.ID] })
	w.board.show(func(s *Snapshot) { s.Runtime.Sandboxes = left })
}
