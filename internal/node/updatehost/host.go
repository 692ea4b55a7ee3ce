// Package updatehost shows the containers of a node's pods to update rules and to subPaths
// that follow updates, and does to them what those ask for.
//
// It owns how a container is found, told of and restarted for them. What rules say, and
// when they are carried out, is internal/volumes/onupdate's; what follows an update is
// internal/volumes/freshpath's.
package updatehost

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/procfs"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/process"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/freshpath"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// restartWait is how long a container that was stopped for a restart may take to run
// again until that counts as failed.
const restartWait = time.Minute

// Host is the containers of a node. All fields are required.
type Host struct {
	// Worker returns the worker of a pod, nil when there is none.
	Worker func(uid types.UID) *podworker.Worker
	// Runtime is what the pods run on, nil while it has not answered.
	Runtime func() *cri.Client
	Events  record.EventRecorder
	Clock   clock.API
	Wall    clock.Wall
}

// Event records an Event about a container, or about its pod.
func (h Host) Event(pod *corev1.Pod, container, eventType, reason, message string) {
	ref := events.Pod(pod)
	if container != "" {
		ref = events.Container(pod, container)
	}
	h.Events.Event(ref, eventType, reason, message)
}

// Look tells how a container is, as far as its worker knows.
func (h Host) Look(uid types.UID, name string) (c onupdate.Container, known bool) {
	w := h.Worker(uid)
	if w == nil || h.Runtime() == nil {
		return onupdate.Container{}, false // it is about to be taken over
	}
	return w.Snapshot().ForUpdates(name, h.Clock.Now())
}

// Exec runs a command in a container.
func (h Host) Exec(ctx context.Context, id string, command []string, timeout time.Duration) (onupdate.ExecResult, error) {
	return process.Exec(ctx, h.Runtime(), id, command, timeout)
}

// Signal sends a signal to a container's first process.
func (h Host) Signal(ctx context.Context, id, name string) error {
	return process.Signal(ctx, h.Runtime(), h.Wall, id, name)
}

// Hold keeps a container's first process from being taken for another one.
func (h Host) Hold(ctx context.Context, id string) (*procfs.Held, error) {
	return process.Hold(ctx, h.Runtime(), id)
}

// Running are the containers of a pod that run, as far as its worker knows.
func (h Host) Running(uid types.UID) (running []freshpath.Container) {
	w := h.Worker(uid)
	if w == nil {
		return nil
	}
	for _, c := range w.Snapshot().Running() {
		running = append(running, freshpath.Container{ID: c.ID, Name: c.Name})
	}
	return running
}

// Restart has a worker replace a container and waits for the next one.
func (h Host) Restart(ctx context.Context, r onupdate.Restart) error {
	w := h.Worker(r.Pod)
	if w == nil {
		return errors.New("the pod has ended")
	}
	done := w.Replace(r)
	wait := lifecycle.Grace(w.Snapshot().API) + restartWait
	timer := h.Wall.NewTimer(wait)
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
