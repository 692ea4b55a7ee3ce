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

	"laterna.dev/laterna/internal/node/cri"
	"laterna.dev/laterna/internal/node/onupdate"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/node/volumes"
)

// restartWait is how long a container that was stopped for a restart may take to run
// again until that counts as failed.
const restartWait = time.Minute

// newUpdates makes what carries out the rules of pods. It is used once the volumes are
// set too.
func (a *Agent) newUpdates(ctx context.Context, snapshot func(types.UID) []volumes.Status) *onupdate.Runner {
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
	ref := podRef(pod)
	if container != "" {
		ref = containerRef(pod, container)
	}
	a.recorder.Event(ref, eventType, reason, message)
}

// updateContainer tells how a container is, as far as its worker knows.
func (a *Agent) updateContainer(uid types.UID, name string) (c onupdate.Container, known bool) {
	w := a.worker(uid)
	if w == nil || a.runtime.Load() == nil {
		return onupdate.Container{}, false // it is about to be taken over
	}
	why, _ := w.waitingReason(name)
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.updates.unseen || w.updates.starting[name] {
		return onupdate.Container{}, false
	}
	attempts := status.Attempts(w.view, name)
	if len(attempts) == 0 {
		return onupdate.Container{Why: why}, true
	}
	c = onupdate.Container{ID: attempts[0].ID, Running: attempts[0].State == cri.ContainerRunning, Why: why}
	if c.Running {
		c.Crashing = now.Before(w.updates.settles[name])
	} else {
		c.Crashing = why == status.CrashLoopBackOff
	}
	return c, true
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
	done := w.replace(r)
	w.signal()
	wait := grace(w.current()) + restartWait
	timer := a.cfg.Wall.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		why, _ := w.waitingReason(r.Container)
		return fmt.Errorf("the container does not run again after %s (%s)", wait, why)
	}
}

// updates is what the rules of a pod need of its worker and ask of it. The worker's mu
// guards it.
type updates struct {
	// unseen says that the pod was taken over and the runtime not looked at since.
	unseen bool
	// starting are containers whose mounts are made and that do not run yet.
	starting map[string]bool
	// settles is when a container that was restarted after a crash has run for as long
	// as it would have to wait if it crashed again, on the agent's clock.
	settles map[string]time.Time
	// replace has, by container, the one that is to be stopped and started again.
	replace map[string]replacement
}

type replacement struct {
	id, message string
	done        chan struct{} // closed when the next one runs
}

func newUpdatesOf(restarting map[string]string, unseen bool) updates {
	u := updates{unseen: unseen, starting: map[string]bool{}, settles: map[string]time.Time{}, replace: map[string]replacement{}}
	for name, id := range restarting {
		u.replace[name] = replacement{id, "Container " + name + " will be restarted: a volume was updated", make(chan struct{})}
	}
	return u
}

// replace asks for a container to be replaced. done is closed when another one runs.
func (w *worker) replace(r onupdate.Restart) (done <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if attempts := status.Attempts(w.view, r.Container); len(attempts) == 0 || attempts[0].ID != r.ID {
		already := make(chan struct{})
		close(already)
		return already
	}
	asked := replacement{r.ID, r.Message, make(chan struct{})}
	if before, ok := w.updates.replace[r.Container]; ok && before.id == r.ID {
		asked.done = before.done
	}
	w.updates.replace[r.Container] = asked
	return asked.done
}

// replaced tells whether a container is to be replaced, and why.
func (w *worker) replaced(c cri.Container) (message string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked, ok := w.updates.replace[c.Name]
	return asked.message, ok && asked.id == c.ID
}

// withReplacements adds to a plan the containers that are to be replaced, also those
// that would not be started again.
func (w *worker) withReplacements(pod *corev1.Pod, p plan) plan {
	var start []*corev1.Container
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		planned := false
		for _, s := range p.start {
			planned = planned || s == c
		}
		attempts := status.Attempts(w.rt.containers, c.Name)
		if len(attempts) > 0 && !planned {
			if _, planned = w.replaced(attempts[0]); planned && attempts[0].State == cri.ContainerRunning {
				p.stop = append(p.stop, attempts[0])
			}
			if planned {
				w.container(c.Name).waiting = &status.Waiting{Reason: status.ContainerCreating}
			}
		}
		if planned {
			start = append(start, c)
		}
	}
	p.start, p.over = start, p.over && len(start) == 0
	return p
}

// stopping is the message of the Event about a container that must not go on.
func (w *worker) stopping(c cri.Container) string {
	if message, ok := w.replaced(c); ok {
		return message
	}
	return "Container " + c.Name + " definition changed, will be restarted"
}

// starting notes that a container's mounts are about to be made. Until done is called
// nobody can say whether it has seen an update.
func (w *worker) starting(name string) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updates.starting[name] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.updates.starting, name)
	}
}

// runs notes that a container was started.
func (w *worker) runs(c cri.Container, crashed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.updates.settles, c.Name)
	if asked, ok := w.updates.replace[c.Name]; ok {
		delete(w.updates.replace, c.Name)
		close(asked.done)
		return
	}
	if c.Attempt > 0 {
		w.updates.settles[c.Name] = w.now().Add(crashed)
	}
}
