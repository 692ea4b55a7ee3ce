package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

const (
	// retryFirst and retryMost bound the pause after a failure that is not the
	// container's own.
	retryFirst = time.Second
	retryMost  = 10 * time.Second
)

// start carries out a plan: volumes and sandbox at the same time, then the
// containers in order. It returns the pause before it must be tried again; the
// volumes wake the worker when they are published.
func (w *Worker) start(s *step, p lifecycle.Plan) time.Duration {
	for _, c := range p.Start {
		if c.Asked {
			w.container(c.Spec.Name).waiting = &status.Waiting{Reason: status.ContainerCreating}
		}
		w.explain(c)
	}
	for _, c := range p.Stop {
		w.ender.killing(s.pod, c, w.stopping(c))
		if err := w.ender.stopContainer(s, c, lifecycle.Grace(s.pod)); err != nil {
			return again
		}
	}
	due, pause := w.due(p.Start)
	if len(due) == 0 {
		return pause
	}
	w.reporter.firstReport(s.pod)

	w.volumes.begin(s.ctx, w.core, s.pod)
	sandbox, spec, sandboxPause := w.sandboxes.get(s, p)
	if sandbox == nil {
		return lifecycle.Sooner(pause, sandboxPause)
	}
	if published, volumesPause := w.volumes.state(); !published {
		return lifecycle.Sooner(pause, volumesPause)
	}
	for _, c := range due {
		if s.wait.Err() != nil {
			return again
		}
		if w.hooks.pending() {
			return pause // its end wakes the worker
		}
		pause = lifecycle.Sooner(pause, w.starter.start(s, c, sandbox, spec))
		// Those that run are reported while the others start.
		if c != due[len(due)-1] {
			w.reporter.report(s.pod, false)
		}
	}
	w.ender.prune(s.ctx)
	return pause
}

// due are those of the containers to start whose back-off or pause is over, and the
// pause until the first of the others.
func (w *Worker) due(start []lifecycle.Start) (due []lifecycle.Container, pause time.Duration) {
	now, asked := w.now(), w.board.asked()
	for _, c := range start {
		state := w.container(c.Spec.Name)
		if memory, anew := state.Remember(c.Spec, w.rt().Newest(c.Spec.Name), w.onClock); anew {
			*state = containerState{Memory: memory, release: state.release, waiting: state.waiting}
		}
		wait := lifecycle.Due(c, state.Memory, w.rt(), asked, now)
		if wait.Crashed != nil {
			w.backsOff(c.Spec, state, wait.Crashed)
		}
		if wait.Left > 0 {
			pause = lifecycle.Sooner(pause, wait.Left)
			continue
		}
		due = append(due, c.Container)
	}
	return due, pause
}

// backsOff notes that a container that has ended waits for its back-off.
func (w *Worker) backsOff(c *corev1.Container, state *containerState, crashed *cri.Container) {
	pod := w.board.snapshot().Pod
	state.waiting = &status.Waiting{Reason: status.CrashLoopBackOff, Message: backOffMessage(state.Restart.Delay, c.Name, pod)}
	if state.announced != crashed.ID {
		state.announced = crashed.ID
		w.deps.Events.Eventf(events.Container(pod, c.Name), corev1.EventTypeWarning, events.BackOff,
			"Back-off restarting failed container %s in pod %s", c.Name, events.PodName(pod))
	}
}

// stopping is the message of the Event about a container that must not go on.
func (w *Worker) stopping(c cri.Container) string {
	if message, ok := w.board.replaced(c); ok {
		return message
	}
	return "Container " + c.Name + " definition changed, will be restarted"
}
