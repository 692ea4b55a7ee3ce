package podworker

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// images finds and pulls the images of containers.
type images struct {
	*core
	reporter *reporter
}

// presencePause is how soon an image that could not be pulled is looked for again:
// it may have been imported.
const presencePause = 5 * time.Second

// get returns the container's image, pulling it where its pull policy says so.
// When there is none it notes why, and returns the pause before the next try.
func (i *images) get(s *step, c *corev1.Container, sandbox *cri.SandboxSpec) (*cri.Image, time.Duration) {
	pod, state := s.pod, i.container(c.Name)
	found, err := i.deps.Runtime.ImageStatus(s.wait, c.Image)
	if err != nil {
		if s.wait.Err() != nil {
			return nil, again
		}
		message := fmt.Sprintf("Failed to inspect image %q: %s", c.Image, cri.Message(err))
		i.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.InspectFailed, message)
		return nil, i.noImage(pod, c, status.ImageInspectError, message)
	}
	imported := false
	if images := i.deps.Images; found != nil && c.ImagePullPolicy == corev1.PullAlways && images != nil {
		if imported, err = images.Imported(s.wait, c.Image); err != nil {
			i.log("origin of image not known", "image", c.Image, "error", err)
		}
	}
	switch {
	case found != nil && (c.ImagePullPolicy != corev1.PullAlways || imported):
		i.pulled(pod, c, imported)
		state.pull, state.pullError = lifecycle.Backoff{}, ""
		return found, 0
	case c.ImagePullPolicy == corev1.PullNever:
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
		i.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.ErrImageNeverPull, message)
		return nil, i.noImage(pod, c, status.ErrImageNeverPull, message)
	}
	return i.pull(s, c, sandbox)
}

func (i *images) pulled(pod *corev1.Pod, c *corev1.Container, imported bool) {
	message := fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image)
	if imported {
		message += " (it was imported: pull policy Always does not pull it before \"laterna image rm\")"
	}
	i.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Pulled, message)
}

// pull pulls an image, unless an earlier failure is too recent.
func (i *images) pull(s *step, c *corev1.Container, sandbox *cri.SandboxSpec) (*cri.Image, time.Duration) {
	state := i.container(c.Name)
	ref := events.Container(s.pod, c.Name)
	if left := state.pull.Wait(state.pullEnded, i.now()); left > 0 {
		message := fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, status.ErrImagePull, state.pullError)
		if state.waiting == nil || state.waiting.Reason != status.ImagePullBackOff {
			i.deps.Events.Eventf(ref, corev1.EventTypeNormal, events.BackOff, "Back-off pulling image %q", c.Image)
			i.deps.Events.Event(ref, corev1.EventTypeWarning, events.Failed, "Error: "+status.ImagePullBackOff)
		}
		state.waiting = &status.Waiting{Reason: status.ImagePullBackOff, Message: message}
		return nil, min(left, presencePause)
	}
	i.deps.Events.Eventf(ref, corev1.EventTypeNormal, events.Pulling, "Pulling image %q", c.Image)
	start := i.deps.Wall.Now()
	var image *cri.Image
	var err error
	if i.reporter.await(s, func() { image, err = i.pullImage(s.wait, c.Image, sandbox) }); err != nil {
		if s.wait.Err() != nil {
			return nil, again
		}
		now := i.now()
		state.pull.Next(now, now)
		state.pullEnded, state.pullError = now, cri.Message(err)
		i.deps.Events.Eventf(ref, corev1.EventTypeWarning, events.Failed, "Failed to pull image %q: %s", c.Image, cri.Message(err))
		i.deps.Events.Event(ref, corev1.EventTypeWarning, events.Failed, "Error: "+status.ErrImagePull)
		state.waiting = &status.Waiting{Reason: status.ErrImagePull, Message: cri.Message(err)}
		// The next step shows the back-off, as upstream's next sync does.
		return nil, again
	}
	took := i.deps.Wall.Since(start).Round(time.Millisecond)
	i.deps.Events.Eventf(ref, corev1.EventTypeNormal, events.Pulled,
		"Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes.", c.Image, took, took, image.Size)
	state.pull, state.pullError = lifecycle.Backoff{}, ""
	return image, 0
}

func (i *images) pullImage(wait context.Context, name string, sandbox *cri.SandboxSpec) (*cri.Image, error) {
	ref, err := i.deps.Runtime.PullImage(wait, name, sandbox)
	if err != nil {
		return nil, err
	}
	i.deps.Pulled()
	image, err := i.deps.Runtime.ImageStatus(wait, ref)
	if err != nil {
		return nil, err
	}
	if image == nil {
		return nil, fmt.Errorf("the runtime pulled %s and does not know it", ref)
	}
	return image, nil
}

// noImage notes why a container has no image, and the pause before another look.
func (i *images) noImage(pod *corev1.Pod, c *corev1.Container, reason, message string) time.Duration {
	state := i.container(c.Name)
	if state.waiting == nil || state.waiting.Reason != reason {
		i.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.Failed, "Error: "+reason)
	}
	state.waiting = &status.Waiting{Reason: reason, Message: message}
	state.Retry.Later(i.now(), presencePause, presencePause)
	return presencePause
}
