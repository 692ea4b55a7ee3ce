package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/onupdate"
	"laterna.dev/laterna/internal/volumes/publish"
)

// restartWait is how long a container that was stopped for a restart may take to run
// again until that counts as failed.
const restartWait = time.Minute

// newUpdates makes what carries out the rules of pods. It is used once the volumes are
// set too.
func (a *Agent) newUpdates(ctx context.Context, snapshot func(types.UID) []publish.Status) *onupdate.Runner {
	return onupdate.New(ctx, onupdate.Config{
		Container: a.updateContainer, Exec: a.execForUpdate, Signal: a.signalContainer, Restart: a.restartContainer,
		Fresh: func(ctx context.Context, pod *corev1.Pod, volume string) { a.fresh.Fresh(ctx, pod, volume) },
		Generations: func(uid types.UID) map[string]string {
			out := map[string]string{}
			for _, s := range snapshot(uid) {
				if s.Generation != "" {
					out[s.Name] = s.Generation
				}
			}
			return out
		},
		PodDir: func(uid types.UID) string { return a.volumes.PodDir(uid) },
		Event:  a.updateEvent, Changed: a.projectionChanged, Clock: a.cfg.Wall, Log: a.cfg.Log,
	})
}

// volumesChanged tells that the volumes of a pod show something else, or why they do
// not.
func (a *Agent) volumesChanged(uid types.UID) {
	a.projectionChanged(uid)
	if a.revisions != nil {
		a.revisions.Moved()
	}
	a.updates.VolumesChanged(uid)
}

func (a *Agent) updateEvent(pod *corev1.Pod, container, eventType, reason, message string) {
	ref := events.Pod(pod)
	if container != "" {
		ref = events.Container(pod, container)
	}
	a.recorder.Event(ref, eventType, reason, message)
}

// updateContainer tells how a container is, as far as its worker knows.
func (a *Agent) updateContainer(uid types.UID, name string) (c onupdate.Container, known bool) {
	w := a.worker(uid)
	if w == nil || a.runtime.Load() == nil {
		return onupdate.Container{}, false // it is about to be taken over
	}
	return w.Snapshot().ForUpdates(name, a.cfg.Clock.Now())
}

func (a *Agent) execForUpdate(ctx context.Context, id string, command []string, timeout time.Duration) (onupdate.ExecResult, error) {
	r, err := a.cri().ExecSync(ctx, id, command, timeout)
	switch {
	case errors.Is(err, cri.ErrTimeout):
		err = onupdate.ErrTimeout
	case errors.Is(err, cri.ErrUnavailable):
		err = onupdate.ErrUnavailable
	case errors.Is(err, cri.ErrTooLong):
		err = onupdate.ErrTooLong
	case err != nil:
		err = errors.New(cri.Message(err))
	}
	return onupdate.ExecResult(r), err
}

// signalContainer signals a container's first process and no other.
func (a *Agent) signalContainer(ctx context.Context, id, name string) error {
	sig := unix.SignalNum(name)
	if sig == 0 {
		return fmt.Errorf("this machine has no signal %s", name)
	}
	held, err := a.holdContainer(ctx, id)
	if err != nil {
		return err
	}
	defer held.Close()
	handled, err := held.Handles(sig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the container's main process has ended")
	case err != nil:
		return err
	case !handled:
		return onupdate.ErrUnhandled
	}
	return held.Signal(sig)
}

// restartContainer has a worker replace a container and waits for the next one.
func (a *Agent) restartContainer(ctx context.Context, r onupdate.Restart) error {
	w := a.worker(r.Pod)
	if w == nil {
		return errors.New("the pod has ended")
	}
	done := w.Replace(r)
	wait := lifecycle.Grace(w.Snapshot().API) + restartWait
	timer := a.cfg.Wall.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		why, _ := w.Snapshot().Waiting(r.Container)
		return fmt.Errorf("the container does not run again after %s (%s)", wait, why)
	}
}
