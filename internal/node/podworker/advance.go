package podworker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// advance brings a pod that is not to be deleted closer to its spec.
func (w *Worker) advance(s *step, failed []broken) time.Duration {
	pod := s.pod
	if w.finished {
		return w.makeRoom(s)
	}
	if lifecycle.Final(pod.Status.Phase) {
		return w.finish(s)
	}
	if refused := w.board.snapshot().Refused; refused != nil {
		return w.refuse(s, refused)
	}
	if w.blocked(pod) {
		w.reporter.report(pod, false)
		return 0
	}
	pause, late := w.deadlineLeft(pod)
	if late {
		return w.fail(s, outlived(pod))
	}
	if v := w.evicted(); v != nil {
		return w.fail(s, v)
	}
	if errors.Join(w.stopBroken(s, failed), w.stopUnhealthy(s)) != nil {
		return again
	}
	pause = lifecycle.Sooner(pause, w.resize(s))
	p := lifecycle.Decide(w.reporter.remembered(pod), w.rt(), w.board.asked())
	switch {
	case p.Over:
		// What outlives the main containers ends before the pod counts as ended.
		w.reporter.report(pod, false)
		if pause := w.ender.stopContainers(s, lifecycle.Grace(pod)); pause > 0 {
			return pause
		}
	case p.Trigger != nil:
		pause = lifecycle.Sooner(pause, w.restartAll(s, p))
	default:
		pause = lifecycle.Sooner(pause, w.start(s, p))
	}
	if left := lifecycle.Untold(w.reporter.remembered(pod), w.rt().Containers, w.deps.Wall.Now()); left > 0 {
		return lifecycle.Sooner(pause, left)
	}
	if now := w.reporter.report(pod, false); lifecycle.Final(now.Phase) {
		return w.finish(s)
	}
	return pause
}

// resize brings what the pod is allocated to its containers, and has those replaced that
// must be restarted for it.
func (w *Worker) resize(s *step) time.Duration {
	restart, pause := w.deps.Resizes.Apply(s.ctx, s.pod, w.rt().Containers)
	for _, c := range restart {
		w.board.replacing(onupdate.Restart{Container: c.Name, ID: c.ID, Message: resizeRestart(c.Name)})
		pause = lifecycle.Sooner(pause, again)
	}
	return pause
}

// resizeRestart is why a container is stopped that is restarted for its new resources.
func resizeRestart(container string) string {
	return "Container " + container + " resize requires restart"
}

// refuse fails a pod that was not admitted.
func (w *Worker) refuse(s *step, why *status.Waiting) time.Duration {
	w.deps.Events.Event(events.Pod(s.pod), corev1.EventTypeWarning, why.Reason, why.Message)
	w.reporter.failed = &status.Waiting{Reason: why.Reason, Message: "Pod was rejected: " + why.Message}
	w.reporter.report(s.pod, true)
	return w.finish(s)
}

// blocked records once why a pod is not started: it has a field that would change
// what it does and that the agent does not honour. Ephemeral containers are added to a
// pod that runs, and hold only themselves up.
func (w *Worker) blocked(pod *corev1.Pod) bool {
	spec := pod.Spec
	spec.EphemeralContainers = nil
	findings := podfields.Blocking(&spec)
	if len(findings) == 0 {
		return false
	}
	for _, c := range lifecycle.Containers(&pod.Spec) {
		w.container(c.Spec.Name).waiting = &status.Waiting{
			Reason: status.CreateContainerConfigError, Message: findings[0].String(),
		}
	}
	if !w.warned {
		w.warned = true
		for _, f := range findings {
			w.deps.Events.Event(events.Pod(pod), corev1.EventTypeWarning, events.Unsupported, f.String())
		}
	}
	return true
}

// unsupported is why an ephemeral container is not started, nil when it may be, as it is
// with all others of a pod that is not blocked.
func unsupported(spec *corev1.PodSpec, name string) error {
	for i, c := range spec.EphemeralContainers {
		if c.Name != name {
			continue
		}
		own := fmt.Sprintf("spec.%s[%d].", podfields.Ephemeral, i)
		for _, f := range podfields.Blocking(spec) {
			if strings.HasPrefix(f.Path, own) {
				return errors.New(f.String())
			}
		}
	}
	return nil
}

// deadlineLeft returns how long the pod may still be active, zero when there is no
// limit, and whether its time is over.
func (w *Worker) deadlineLeft(pod *corev1.Pod) (left time.Duration, late bool) {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return 0, false
	}
	if w.started.IsZero() {
		start := w.deps.Wall.Now()
		if pod.Status.StartTime != nil {
			start = pod.Status.StartTime.Time
		}
		w.started = w.onClock(start)
	}
	return lifecycle.ActiveLeft(pod, w.started, w.now())
}

// fail ends a pod for good.
func (w *Worker) fail(s *step, v *verdict) time.Duration {
	if w.reporter.failed == nil {
		w.reporter.failed = &v.Waiting
		w.deps.Events.Event(events.Pod(s.pod), v.eventType, v.Reason, v.Message)
	}
	if pause := w.ender.stopAll(s, v.grace); pause > 0 {
		return pause
	}
	w.reporter.report(s.pod, true)
	return w.finish(s)
}

// finish frees what a pod that has ended no longer needs. Its containers stay, for
// their logs.
func (w *Worker) finish(s *step) time.Duration {
	if pause := w.ender.stopAll(s, lifecycle.Grace(s.pod)); pause > 0 {
		return pause
	}
	if pause := w.release(s); pause > 0 {
		return pause
	}
	w.releaseObjects()
	w.finished = true
	return w.makeRoom(s)
}

func backOffMessage(delay time.Duration, container string, pod *corev1.Pod) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", delay, container, events.PodName(pod))
}
