package podworker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/seccomp"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// startContainer makes and starts one container. What goes wrong becomes the
// container's waiting reason and an Event; the pause says when to try again.
func (w *Worker) startContainer(ctx, wait context.Context, pod *corev1.Pod, c *corev1.Container, sandbox *cri.Sandbox, sandboxSpec *cri.SandboxSpec) time.Duration {
	state := w.container(c.Name)
	image, pause := w.image(wait, pod, c, sandboxSpec)
	if image == nil {
		return pause
	}
	defer w.board.starting(c.Name)()
	attempt, err := w.attempt(ctx, c, state)
	if err != nil {
		return w.notStarted(pod, c, status.CreateContainerError, err)
	}
	spec, err := w.containerSpec(wait, pod, c, sandbox, *image, attempt)
	if err != nil {
		if wait.Err() != nil {
			return again
		}
		w.watchObjects(pod, c)
		pause := w.notStarted(pod, c, status.CreateContainerConfigError, err)
		if readsFiles(c) {
			// Another container may write the file at any time, and nothing tells.
			state.Retry.Until = w.now().Add(retryFirst)
			pause = retryFirst
		}
		return pause
	}
	if err := w.placeProfile(spec); err != nil {
		return w.notStarted(pod, c, status.CreateContainerError, err)
	}
	id, err := w.createContainer(ctx, wait, sandbox, spec, sandboxSpec)
	if err != nil && wait.Err() != nil {
		w.board.markDirty() // of what the runtime may have made
		return again
	}
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return w.notStarted(pod, c, status.CreateContainerError, err)
	}
	w.deps.Inventory.Own(id, w.uid)
	w.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Created, "Container created")
	startErr := w.deps.Runtime.StartContainer(ctx, id)
	started, err := w.containerStatus(ctx, id, sandbox.ID)
	if err != nil {
		w.board.markDirty()
		return again
	}
	w.setContainer(started)
	if startErr != nil {
		state.waiting = nil
		if lifecycle.Restarts(pod.Spec.RestartPolicy, &started) {
			state.waiting = &status.Waiting{Reason: status.RunContainerError, Message: cri.Message(startErr)}
		}
		w.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.Failed, "Error: "+cri.Message(startErr))
		return again
	}
	w.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Started, "Container started")
	w.board.runs(started, w.now().Add(state.Restart.Delay))
	state.waiting, state.Retry = nil, lifecycle.Retry{}
	state.releaseObjects()
	return 0
}

// placeProfile puts the seccomp profile of a container where the runtime may read it.
func (w *Worker) placeProfile(spec *cri.ContainerSpec) error {
	profile := &spec.Security.Seccomp
	if profile.Kind != cri.ProfileLocalhost {
		return nil
	}
	if spec.Security.Privileged { // which no runtime gives a filter
		*profile = cri.Profile{Kind: cri.ProfileUnconfined}
		return nil
	}
	path, err := seccomp.Place(seccomp.Dir(w.deps.Node.Root), profile.Localhost, w.deps.Volumes.PodDir(w.uid))
	if err != nil {
		return err
	}
	profile.Localhost = path
	return nil
}

// createContainer makes a container. The end of the agent does not stop it half-way, but
// the deletion of the pod does: a runtime that hangs would keep the pod.
func (w *Worker) createContainer(ctx, wait context.Context, sandbox *cri.Sandbox, spec *cri.ContainerSpec, sandboxSpec *cri.SandboxSpec) (string, error) {
	create, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(wait, func() {
		if ctx.Err() == nil {
			cancel()
		}
	})()
	return w.deps.Runtime.CreateContainer(create, sandbox.ID, spec, sandboxSpec)
}

// notStarted notes why no container was made.
func (w *Worker) notStarted(pod *corev1.Pod, c *corev1.Container, reason string, err error) time.Duration {
	state := w.container(c.Name)
	message := cri.Message(err)
	state.waiting = &status.Waiting{Reason: reason, Message: message}
	w.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.Failed, "Error: "+message)
	state.Retry.Later(w.now(), retryFirst, retryMost)
	return state.Retry.Delay
}

// attempt is the number of the container to be made; one that has it and was never
// started is removed. The start is counted for the back-off.
func (w *Worker) attempt(ctx context.Context, c *corev1.Container, state *containerState) (uint32, error) {
	var reported *corev1.ContainerStatus
	known := w.board.snapshot().Pod.Status.ContainerStatuses
	if i := slices.IndexFunc(known, func(s corev1.ContainerStatus) bool { return s.Name == c.Name }); i >= 0 {
		reported = &known[i]
	}
	newest := w.rt().Newest(c.Name)
	attempt, remove := lifecycle.Next(newest, reported)
	if remove {
		return attempt, w.removeContainer(ctx, *newest)
	}
	if newest == nil {
		return attempt, nil
	}
	_, asked := w.board.replaced(*newest)
	if ended, dead := w.rt().Ended[newest.ID]; dead && !asked {
		state.Restart.Next(ended, w.now())
	}
	return attempt, nil
}

// containerSpec puts together what a container is made from.
func (w *Worker) containerSpec(wait context.Context, pod *corev1.Pod, c *corev1.Container, sandbox *cri.Sandbox, image cri.Image, attempt uint32) (*cri.ContainerSpec, error) {
	self := w.withAddresses(pod, sandbox)
	vars, err := w.environment(wait, self, c)
	if err != nil {
		return nil, err
	}
	if self, err = resolveSubPaths(self, c, vars); err != nil {
		return nil, err
	}
	mounts, err := w.mounts(self, c)
	if err != nil {
		return nil, err
	}
	return runspec.Container(pod, c, runspec.ContainerOptions{
		Instance: w.deps.Node.Instance, Attempt: attempt, Image: image, Env: vars, Mounts: mounts,
		MemoryCapacity: w.deps.Node.Memory,
	})
}

// removeContainer removes a container that does not run, with its log.
func (w *Worker) removeContainer(ctx context.Context, c cri.Container) error {
	if err := w.deps.Runtime.RemoveContainer(ctx, c.ID); err != nil && !errors.Is(err, cri.ErrNotFound) {
		return fmt.Errorf("removing dead container: %w", err)
	}
	w.deps.Inventory.Disown(c.ID)
	w.dropContainer(c.ID)
	return nil
}
