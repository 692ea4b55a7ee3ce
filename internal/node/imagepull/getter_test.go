package imagepull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// shelf is a node without images; its pulls end with err. It notes the reasons of Events.
type shelf struct {
	err     error
	present *cri.Image
	reasons []string
}

func (s *shelf) Pull(context.Context, *corev1.Pod, string, *cri.SandboxSpec) (*cri.Image, time.Duration, error) {
	if s.err != nil {
		return nil, 0, s.err
	}
	return &cri.Image{ID: "pulled"}, 0, nil
}

func (s *shelf) May(context.Context, *corev1.Pod, string, *cri.Image) (bool, error) { return true, nil }

func (s *shelf) CheckName(image string) error {
	if image == "" {
		return errors.New("no name")
	}
	return nil
}

func (s *shelf) Event(_ apiruntime.Object, _, reason, message string) {
	s.reasons = append(s.reasons, reason+" "+message)
}

func (s *shelf) Eventf(about apiruntime.Object, eventType, reason, format string, args ...any) {
	s.Event(about, eventType, reason, fmt.Sprintf(format, args...))
}

// asked returns what asks as one container does: it waits for what it was told.
func (s *shelf) asked(t *testing.T, c corev1.Container) func() Answer {
	g := &Getter{
		Find:  func(context.Context, string) (*cri.Image, error) { return s.present, nil },
		Pulls: s, Pulled: func() {}, Events: s, Clock: clock.APIOf(clock.Real()), Wall: clock.Real(),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	var failures Failures
	var waiting *status.Waiting
	return func() Answer {
		s.reasons = nil
		a := g.Get(t.Context(), Request{
			Pod: &corev1.Pod{}, Container: &c, Failures: &failures, Waiting: waiting, Await: func(work func()) { work() },
		})
		if a.Waiting != nil {
			waiting = a.Waiting
		}
		return a
	}
}

func TestAFailedPullIsTriedAgainAfterItsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: errors.New("gone")}
		ask := s.asked(t, corev1.Container{Name: "c", Image: "i", ImagePullPolicy: corev1.PullIfNotPresent})
		check := func(when, reason string, image bool, events ...string) {
			t.Helper()
			a := ask()
			if (a.Image != nil) != image || (reason == "") != (a.Waiting == nil) || reason != "" && a.Waiting.Reason != reason || !slices.Equal(s.reasons, events) {
				t.Errorf("%s: %+v, waiting %+v, Events %q", when, a, a.Waiting, s.reasons)
			}
			time.Sleep(a.Pause)
		}
		check("at first", status.ErrImagePull, false, `Pulling Pulling image "i"`, `Failed Failed to pull image "i": gone`, "Failed Error: ErrImagePull")
		check("a second later", status.ImagePullBackOff, false, `BackOff Back-off pulling image "i"`, "Failed Error: ImagePullBackOff")
		check("in the back-off", status.ImagePullBackOff, false)
		s.err = nil
		check("after ten seconds", "", true, `Pulling Pulling image "i"`, `Pulled Successfully pulled image "i" in 0s (0s including waiting). Image size: 0 bytes.`)
	})
}

func TestAContainerIsHeldWhoseImageCannotBe(t *testing.T) {
	for want, c := range map[string]corev1.Container{
		status.InvalidImageName:  {Name: "c"},
		status.ErrImageNeverPull: {Name: "c", Image: "i", ImagePullPolicy: corev1.PullNever},
	} {
		s := &shelf{}
		ask := s.asked(t, c)
		if a := ask(); a.Image != nil || !a.Hold || a.Pause != presencePause || a.Waiting == nil || a.Waiting.Reason != want || len(s.reasons) != 2 {
			t.Errorf("%s: %+v, Events %q", want, a, s.reasons)
		}
		if ask(); len(s.reasons) != 1 { // that it is so, and not again that it failed
			t.Errorf("%s: at the second look Events %q", want, s.reasons)
		}
	}
}
