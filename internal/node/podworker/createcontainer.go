package podworker

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/containerfiles"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/volumes/place"
)

// starter makes and starts containers.
type starter struct {
	*core
	files    *containerfiles.Files
	observer *observer
	ender    *ender
	reporter *reporter
	probes   *probes
	hooks    *hooks
}

// start makes and starts one container. What goes wrong becomes the
// container's waiting reason and an Event; the pause says when to try again.
func (t *starter) start(s *step, k lifecycle.Container, sandbox *cri.Sandbox, sandboxSpec *cri.SandboxSpec) time.Duration {
	pod, c, state := s.pod, k.Spec, t.container(k.Spec.Name)
	image, pause := t.image(s, c, sandboxSpec)
	if image == nil {
		return pause
	}
	defer t.board.starting(c.Name)()
	attempt, err := t.attempt(s.ctx, c, state)
	if err != nil {
		return t.notStarted(pod, c, status.CreateContainerError, err)
	}
	spec, err := t.containerSpec(s, c, sandbox, *image, attempt)
	if err != nil {
		if s.wait.Err() != nil {
			return again
		}
		t.watchObjects(pod, c)
		reason := status.CreateContainerConfigError
		if errors.Is(err, place.ErrImageSubPath) {
			reason = status.CreateContainerError
		}
		pause := t.notStarted(pod, c, reason, err)
		if readsFiles(c) {
			// Another container may write the file at any time, and nothing tells.
			state.Retry.Until = t.now().Add(retryFirst)
			pause = retryFirst
		}
		return pause
	}
	if err := t.files.PlaceProfile(pod, spec); err != nil {
		return t.notStarted(pod, c, status.CreateContainerError, err)
	}
	t.deps.Resizes.Starting(t.uid, c)
	id, err := t.create(s, sandbox, spec, sandboxSpec)
	if err != nil && s.wait.Err() != nil {
		t.board.markDirty() // of what the runtime may have made
		return again
	}
	if err != nil {
		return t.notStarted(pod, c, status.CreateContainerError, err)
	}
	t.deps.Inventory.Own(id, t.uid)
	t.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Created, "Container created")
	if err := t.hooks.owe(c, attempt); err != nil {
		t.board.markDirty()
		return t.notStarted(pod, c, status.RunContainerError, err)
	}
	ctx := context.WithoutCancel(s.ctx)
	startErr := t.deps.Runtime.StartContainer(ctx, id)
	started, err := t.observer.containerStatus(ctx, id, sandbox.ID)
	if err != nil {
		t.board.markDirty()
		return again
	}
	if startErr == nil && started.State == cri.ContainerRunning {
		t.hooks.begin(s.ctx, pod, started)
		if !t.rt().Probed[id].Hook {
			t.probes.begin(pod, started)
		}
	}
	t.observer.setContainer(started)
	if startErr != nil {
		state.waiting = nil
		if lifecycle.Restarts(&pod.Spec, k, &started) {
			state.waiting = &status.Waiting{Reason: status.RunContainerError, Message: cri.Message(startErr)}
		}
		t.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.Failed, "Error: "+cri.Message(startErr))
		return again
	}
	t.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Started, "Container started")
	t.board.runs(started, t.now().Add(state.Restart.Delay))
	state.waiting, state.Retry = nil, lifecycle.Retry{}
	state.releaseObjects()
	if k.Role == lifecycle.Sidecar {
		t.board.signal() // the next one may be started
	}
	return 0
}

// image returns the container's image, or the pause before the next try. Those of its
// volumes are mounted then.
func (t *starter) image(s *step, c *corev1.Container, sandbox *cri.SandboxSpec) (*cri.Image, time.Duration) {
	state := t.container(c.Name)
	request := imagepull.Request{
		Pod: s.pod, Container: c, Sandbox: sandbox, Failures: &state.pulls, Waiting: state.waiting,
		Await: func(work func()) { t.reporter.await(s, work) },
	}
	a := t.deps.Images.Get(s.wait, request)
	if a.Image != nil {
		if missing := t.deps.Volumes.MountImages(s.wait, request); missing != nil {
			a = *missing
		}
	}
	if a.Waiting != nil {
		state.waiting = a.Waiting
	}
	if a.Hold {
		state.Retry.Later(t.now(), a.Pause, a.Pause)
	}
	return a.Image, a.Pause
}

// create makes a container. The end of the agent does not stop it half-way, but
// the deletion of the pod does: a runtime that hangs would keep the pod.
func (t *starter) create(s *step, sandbox *cri.Sandbox, spec *cri.ContainerSpec, sandboxSpec *cri.SandboxSpec) (string, error) {
	create, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	defer cancel()
	defer context.AfterFunc(s.wait, func() {
		if s.ctx.Err() == nil {
			cancel()
		}
	})()
	return t.deps.Runtime.CreateContainer(create, sandbox.ID, spec, sandboxSpec)
}

// notStarted notes why no container was made.
func (t *starter) notStarted(pod *corev1.Pod, c *corev1.Container, reason string, err error) time.Duration {
	state := t.container(c.Name)
	message := cri.Message(err)
	state.waiting = &status.Waiting{Reason: reason, Message: message}
	t.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.Failed, "Error: "+message)
	state.Retry.Later(t.now(), retryFirst, retryMost)
	return state.Retry.Delay
}

// attempt is the number of the container to be made; one that has it and was never
// started is removed. The start is counted for the back-off.
func (t *starter) attempt(ctx context.Context, c *corev1.Container, state *containerState) (uint32, error) {
	reported := lifecycle.Reported(&t.reporter.remembered(t.board.snapshot().Pod).Status, c.Name)
	newest := t.rt().Newest(c.Name)
	attempt, remove := lifecycle.Next(newest, reported)
	if remove {
		return attempt, t.ender.removeContainer(ctx, *newest)
	}
	if newest == nil {
		return attempt, nil
	}
	_, asked := t.board.replaced(*newest)
	if ended, dead := t.rt().Ended[newest.ID]; dead && !asked {
		state.Restart.Next(ended, t.now())
	}
	return attempt, nil
}

// target is the ID of the container whose processes an ephemeral container shares, ""
// when it has those of its own or of the whole pod.
func (t *starter) target(spec *corev1.PodSpec, c *corev1.Container) (id string, err error) {
	name := lifecycle.Target(spec, c.Name)
	if name == "" {
		return "", nil
	}
	if newest := t.rt().Newest(name); newest != nil && newest.State == cri.ContainerRunning {
		return newest.ID, nil
	}
	return "", fmt.Errorf("unable to find target container %s", name)
}

// containerSpec puts together what a container is made from.
func (t *starter) containerSpec(s *step, c *corev1.Container, sandbox *cri.Sandbox, image cri.Image, attempt uint32) (*cri.ContainerSpec, error) {
	if err := unsupported(&s.pod.Spec, c.Name); err != nil {
		return nil, err
	}
	self := t.reporter.withAddresses(s.pod, sandbox)
	vars, err := t.environment(s.wait, self, c)
	if err != nil {
		return nil, err
	}
	if self, err = resolveSubPaths(self, c, vars); err != nil {
		return nil, err
	}
	mounts, err := t.files.Mounts(self, c)
	if err != nil {
		return nil, err
	}
	target, err := t.target(&s.pod.Spec, c)
	if err != nil {
		return nil, err
	}
	return runspec.Container(s.pod, c, runspec.ContainerOptions{
		Instance: t.deps.Node.Instance, Attempt: attempt, Image: image, Env: vars, Mounts: mounts,
		MemoryCapacity: t.deps.Node.Memory, Target: target,
	})
}
