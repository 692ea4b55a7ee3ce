package imagepull

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Getter finds and pulls the images of containers, and says in Events how that goes. All
// fields are required but Imported. It is safe for concurrent use.
type Getter struct {
	// Find returns an image that is present, nil when there is none; see cri.Client.
	Find  func(ctx context.Context, ref string) (*cri.Image, error)
	Pulls Pulls
	// Imported says whether an image was imported from an archive; nil on a runtime that
	// somebody else runs.
	Imported func(ctx context.Context, ref string) (bool, error)
	// Pulled tells that the node has one more image.
	Pulled func()
	Events Events
	// Clock is the agent's: back-offs follow it. Wall is real time.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// Pulls pulls images with what pods have for it. It is Puller.
type Pulls interface {
	// Pull returns the image, and how long the pull waited for others.
	Pull(ctx context.Context, pod *corev1.Pod, image string, sandbox *cri.SandboxSpec) (found *cri.Image, waited time.Duration, err error)
	// May says whether the pod may use an image that is present without pulling it.
	May(ctx context.Context, pod *corev1.Pod, image string, present *cri.Image) (bool, error)
	// CheckName says why a name is not an image's.
	CheckName(image string) error
}

// Events records Events and does not wait.
type Events interface {
	Event(about apiruntime.Object, eventType, reason, message string)
	Eventf(about apiruntime.Object, eventType, reason, format string, args ...any)
}

// Request asks for the image of a container, or of a volume that a container mounts.
type Request struct {
	Pod *corev1.Pod
	// Container has the name and the pull policy of the image.
	Container *corev1.Container
	// About is what Events are about, nil for the container.
	About   apiruntime.Object
	Sandbox *cri.SandboxSpec
	// Failures are the container's, from one request to the next.
	Failures *Failures
	// Waiting is what the container waits for so far, nil for nothing.
	Waiting *status.Waiting
	// Await returns when work is done, which may take as long as a pull.
	Await func(work func())
}

func (r *Request) about() apiruntime.Object {
	if r.About != nil {
		return r.About
	}
	return events.Container(r.Pod, r.Container.Name)
}

// Failures is what is remembered of a container's pulls. The zero value has none.
type Failures struct {
	backoff lifecycle.Backoff
	ended   time.Time
	err     string
}

// Answer is an image, or why there is none.
type Answer struct {
	Image *cri.Image
	// Waiting is what the container waits for, nil when that is as it was.
	Waiting *status.Waiting
	// Pause is how soon to ask again; with Hold nothing is done for the container before.
	Pause time.Duration
	Hold  bool
}

// soon is the pause after what was interrupted, and before a back-off is shown.
const soon = time.Second

// presencePause is how soon an image that could not be pulled is looked for again:
// it may have been imported.
const presencePause = 5 * time.Second

// Get returns the container's image, pulling it where its pull policy says so. It ends
// with ctx.
func (g *Getter) Get(ctx context.Context, r Request) Answer {
	c := r.Container
	if err := g.Pulls.CheckName(c.Image); err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: %s", c.Image, err)
		return g.refused(r, events.InspectFailed, status.InvalidImageName, message)
	}
	found, err := g.Find(ctx, c.Image)
	if err != nil {
		if ctx.Err() != nil {
			return Answer{Pause: soon}
		}
		message := fmt.Sprintf("Failed to inspect image %q: %s", c.Image, cri.Message(err))
		return g.refused(r, events.InspectFailed, status.ImageInspectError, message)
	}
	if found != nil {
		use, imported, err := g.usable(ctx, r, found)
		switch {
		case ctx.Err() != nil:
			return Answer{Pause: soon}
		case err != nil:
			message := fmt.Sprintf("Failed to inspect image %q: %s", c.Image, err)
			return g.refused(r, events.InspectFailed, status.ImageInspectError, message)
		case use:
			g.present(r, imported && c.ImagePullPolicy == corev1.PullAlways)
			*r.Failures = Failures{}
			return Answer{Image: found}
		}
	}
	if c.ImagePullPolicy == corev1.PullNever {
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
		if found != nil {
			message = fmt.Sprintf("Container image %q is present with pull policy of Never but does not have the proper credentials: "+
				"the pod's imagePullSecrets have none that it was pulled with", c.Image)
		}
		return g.refused(r, events.ErrImageNeverPull, status.ErrImageNeverPull, message)
	}
	return g.pull(ctx, r)
}

// usable says whether an image that is present is used as it is: an imported one always,
// others unless they are to be pulled again, and by pods that could have pulled them.
func (g *Getter) usable(ctx context.Context, r Request, found *cri.Image) (use, imported bool, err error) {
	c := r.Container
	if c.ImagePullPolicy != corev1.PullAlways {
		if use, err = g.Pulls.May(ctx, r.Pod, c.Image, found); use || err != nil {
			return use, false, err
		}
	}
	if g.Imported == nil {
		return false, false, nil
	}
	if imported, err = g.Imported(ctx, c.Image); err != nil {
		g.Log.Warn("origin of image not known", "namespace", r.Pod.Namespace, "pod", r.Pod.Name, "uid", r.Pod.UID, "image", c.Image, "error", err)
	}
	return imported, imported, nil
}

// present records that an image was not pulled.
func (g *Getter) present(r Request, imported bool) {
	c := r.Container
	message := fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image)
	if imported {
		message += " (it was imported: pull policy Always does not pull it before \"laterna image rm\")"
	}
	g.Events.Event(r.about(), corev1.EventTypeNormal, events.Pulled, message)
}

// pull pulls an image, unless an earlier failure is too recent.
func (g *Getter) pull(ctx context.Context, r Request) Answer {
	c, failures := r.Container, r.Failures
	ref := r.about()
	if left := failures.backoff.Wait(failures.ended, g.Clock.Now()); left > 0 {
		message := fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, status.ErrImagePull, failures.err)
		if r.Waiting == nil || r.Waiting.Reason != status.ImagePullBackOff {
			g.Events.Eventf(ref, corev1.EventTypeNormal, events.BackOff, "Back-off pulling image %q", c.Image)
			g.Events.Event(ref, corev1.EventTypeWarning, events.Failed, "Error: "+status.ImagePullBackOff)
		}
		return Answer{Waiting: &status.Waiting{Reason: status.ImagePullBackOff, Message: message}, Pause: min(left, presencePause)}
	}
	g.Events.Eventf(ref, corev1.EventTypeNormal, events.Pulling, "Pulling image %q", c.Image)
	start := g.Wall.Now()
	var image *cri.Image
	var waited time.Duration
	var err error
	r.Await(func() { image, waited, err = g.Pulls.Pull(ctx, r.Pod, c.Image, r.Sandbox) })
	if err != nil {
		if ctx.Err() != nil {
			return Answer{Pause: soon}
		}
		now := g.Clock.Now()
		failures.backoff.Next(now, now)
		failures.ended, failures.err = now, cri.Message(err)
		g.Events.Eventf(ref, corev1.EventTypeWarning, events.Failed, "Failed to pull image %q: %s", c.Image, cri.Message(err))
		g.Events.Event(ref, corev1.EventTypeWarning, events.Failed, "Error: "+status.ErrImagePull)
		// The next step shows the back-off, as upstream's next sync does.
		return Answer{Waiting: &status.Waiting{Reason: status.ErrImagePull, Message: cri.Message(err)}, Pause: soon}
	}
	g.Pulled()
	took := g.Wall.Since(start)
	g.Events.Eventf(ref, corev1.EventTypeNormal, events.Pulled,
		"Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes.", c.Image, (took - waited).Truncate(time.Millisecond), took.Truncate(time.Millisecond), image.Size)
	*failures = Failures{}
	return Answer{Image: image}
}

// refused says in an Event of its own, at each look, why a container has no image.
func (g *Getter) refused(r Request, event, reason, message string) Answer {
	ref := r.about()
	g.Events.Event(ref, corev1.EventTypeWarning, event, message)
	if r.Waiting == nil || r.Waiting.Reason != reason {
		g.Events.Event(ref, corev1.EventTypeWarning, events.Failed, "Error: "+reason)
	}
	return Answer{Waiting: &status.Waiting{Reason: reason, Message: message}, Pause: presencePause, Hold: true}
}
