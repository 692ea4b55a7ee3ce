package podworker

import (
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
	if err := i.deps.Pulls.CheckName(c.Image); err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: %s", c.Image, err)
		return nil, i.refused(pod, c, events.InspectFailed, status.InvalidImageName, message)
	}
	found, err := i.deps.Runtime.ImageStatus(s.wait, c.Image)
	if err != nil {
		if s.wait.Err() != nil {
			return nil, again
		}
		message := fmt.Sprintf("Failed to inspect image %q: %s", c.Image, cri.Message(err))
		return nil, i.refused(pod, c, events.InspectFailed, status.ImageInspectError, message)
	}
	if found != nil {
		use, imported, err := i.usable(s, c, found)
		switch {
		case s.wait.Err() != nil:
			return nil, again
		case err != nil:
			message := fmt.Sprintf("Failed to inspect image %q: %s", c.Image, err)
			return nil, i.refused(pod, c, events.InspectFailed, status.ImageInspectError, message)
		case use:
			i.pulled(pod, c, imported && c.ImagePullPolicy == corev1.PullAlways)
			state.pull, state.pullError = lifecycle.Backoff{}, ""
			return found, 0
		}
	}
	if c.ImagePullPolicy == corev1.PullNever {
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
		if found != nil {
			message = fmt.Sprintf("Container image %q is present with pull policy of Never but does not have the proper credentials: "+
				"the pod's imagePullSecrets have none that it was pulled with", c.Image)
		}
		return nil, i.refused(pod, c, events.ErrImageNeverPull, status.ErrImageNeverPull, message)
	}
	return i.pull(s, c, sandbox)
}

// usable says whether an image that is present is used as it is: an imported one always,
// others unless they are to be pulled again, and by pods that could have pulled them.
func (i *images) usable(s *step, c *corev1.Container, found *cri.Image) (use, imported bool, err error) {
	if c.ImagePullPolicy != corev1.PullAlways {
		if use, err = i.deps.Pulls.May(s.wait, s.pod, c.Image, found); use || err != nil {
			return use, false, err
		}
	}
	if i.deps.Images == nil {
		return false, false, nil
	}
	if imported, err = i.deps.Images.Imported(s.wait, c.Image); err != nil {
		i.log("origin of image not known", "image", c.Image, "error", err)
	}
	return imported, imported, nil
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
	var waited time.Duration
	var err error
	i.reporter.await(s, func() { image, waited, err = i.deps.Pulls.Pull(s.wait, s.pod, c.Image, sandbox) })
	if err != nil {
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
	i.deps.Pulled()
	took := i.deps.Wall.Since(start)
	i.deps.Events.Eventf(ref, corev1.EventTypeNormal, events.Pulled,
		"Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes.", c.Image, (took - waited).Truncate(time.Millisecond), took.Truncate(time.Millisecond), image.Size)
	state.pull, state.pullError = lifecycle.Backoff{}, ""
	return image, 0
}

// refused is noImage with an Event of its own that says why, at each look.
func (i *images) refused(pod *corev1.Pod, c *corev1.Container, event, reason, message string) time.Duration {
	i.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, event, message)
	return i.noImage(pod, c, reason, message)
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
