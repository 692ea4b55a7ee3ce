package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/process"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/onupdate"
	"laterna.dev/laterna/internal/volumes/publish"
)

// restartWait is how long a container that was stopped for a restart may take to run
// again until that counts as failed.
const restartWait = time.Minute

// newUpdates makes what carries out the rules of pods. It is used once the volumes are
// set too.
func (a *Agent) newUpdates(ctx context.Context, snapshot func(types.UID) []publish.Status) *onupdate.Runner {
	k := containers{a}
	return onupdate.New(ctx, onupdate.Config{
		Container: k.look, Exec: k.exec, Signal: k.signal, Restart: k.restart,
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
		Event:  k.event, Changed: a.projections.Changed, Clock: a.cfg.Wall, Log: a.cfg.Log,
	})
}

// newFollower makes what lets subPaths follow updates in running containers.
func (a *Agent) newFollower(volumes freshpath.Volumes) *freshpath.Follower {
	k := containers{a}
	return freshpath.New(freshpath.Config{
		Volumes: volumes, Running: k.running, Hold: k.hold, Event: a.Event, Log: a.cfg.Log,
	})
}

// volumesChanged tells that the volumes of a pod show something else, or why they do
// not.
func (a *Agent) volumesChanged(uid types.UID) {
	a.projections.Changed(uid)
	if a.revisions != nil {
		a.revisions.Moved()
	}
	a.updates.VolumesChanged(uid)
}

// containers are the containers of the node's pods as update rules see them.
type containers struct{ a *Agent }

// event records an Event about a container, or about its pod.
func (k containers) event(pod *corev1.Pod, container, eventType, reason, message string) {
	ref := events.Pod(pod)
	if container != "" {
		ref = events.Container(pod, container)
	}
	k.a.recorder.Event(ref, eventType, reason, message)
}

// look tells how a container is, as far as its worker knows.
func (k containers) look(uid types.UID, name string) (c onupdate.Container, known bool) {
	w := k.a.pods.of(uid)
	if w == nil || k.a.runtime.Load() == nil {
		return onupdate.Container{}, false // it is about to be taken over
	}
	return w.Snapshot().ForUpdates(name, k.a.cfg.Clock.Now())
}

func (k containers) exec(ctx context.Context, id string, command []string, timeout time.Duration) (onupdate.ExecResult, error) {
	return process.Exec(ctx, k.a.cri(), id, command, timeout)
}

func (k containers) signal(ctx context.Context, id, name string) error {
	return process.Signal(ctx, k.a.cri(), k.a.cfg.Wall, id, name)
}

func (k containers) hold(ctx context.Context, id string) (*procfs.Held, error) {
	return process.Hold(ctx, k.a.cri(), id)
}

// running are the containers of a pod that run, as far as its worker knows.
func (k containers) running(uid types.UID) (running []freshpath.Container) {
	w := k.a.pods.of(uid)
	if w == nil {
		return nil
	}
	for _, c := range w.Snapshot().Running() {
		running = append(running, freshpath.Container{ID: c.ID, Name: c.Name})
	}
	return running
}

// restart has a worker replace a container and waits for the next one.
func (k containers) restart(ctx context.Context, r onupdate.Restart) error {
	w := k.a.pods.of(r.Pod)
	if w == nil {
		return errors.New("the pod has ended")
	}
	done := w.Replace(r)
	wait := lifecycle.Grace(w.Snapshot().API) + restartWait
	timer := k.a.cfg.Wall.NewTimer(wait)
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
