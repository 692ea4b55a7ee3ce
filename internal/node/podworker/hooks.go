package podworker

import (
	"context"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/containerfiles"
	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/hook"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/status"
	"laterna.dev/laterna/internal/runtime/cri"
)

// hooks runs the hooks of the pod's containers. A postStart hook that an earlier agent has
// not seen the end of is run again, as a preStop hook is: they run at least once.
type hooks struct {
	*core
	files    *containerfiles.Files
	reporter *reporter

	mu sync.Mutex
	// starting and stopping are the hooks of containers, by ID, that are under way or whose
	// end was not looked at.
	starting, stopping map[string]*hookRun
	// looked are the containers that it is known of whether they owe a hook.
	looked map[string]bool
	runs   sync.WaitGroup
}

// hookRun is one run of a hook.
type hookRun struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at its end
	err    error         // set before done is closed
	failed func()        // records the failure, once
}

// run runs a hook beside the worker, until ctx ends.
func (h *hooks) run(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, id string, handler *corev1.LifecycleHandler, failed func()) *hookRun {
	ctx, cancel := context.WithCancel(ctx)
	r := &hookRun{cancel: cancel, done: make(chan struct{}), failed: sync.OnceFunc(failed)}
	c := hook.Container{Pod: pod, Spec: spec, ID: id, Host: h.reporter.withAddresses(pod, h.rt().Sandbox()).Status.PodIP}
	h.runs.Go(func() {
		defer cancel()
		defer h.board.signal()
		defer close(r.done)
		note, err := h.deps.Hooks.Run(ctx, c, handler)
		if note != "" {
			h.deps.Events.Event(events.Container(pod, spec.Name), corev1.EventTypeWarning, events.HookFallback, note)
		}
		if r.err = err; err != nil && ctx.Err() == nil {
			r.failed()
		}
	})
	return r
}

// postStart is the hook of a container's start, nil when it has none.
func postStart(spec *corev1.Container) *corev1.LifecycleHandler {
	if spec == nil || spec.Lifecycle == nil {
		return nil
	}
	return spec.Lifecycle.PostStart
}

// owe notes on disk that a container that is about to start owes its postStart hook.
func (h *hooks) owe(spec *corev1.Container, attempt uint32) error {
	if postStart(spec) == nil {
		return nil
	}
	return h.files.Owe(h.uid, spec.Name, attempt)
}

// paid notes that a container's postStart hook is done.
func (h *hooks) paid(c cri.Container) {
	if err := h.files.Paid(h.uid, c.Name, c.Attempt); err != nil {
		h.log("the end of a postStart hook is not noted: it may be run again", "container", c.Name, "error", err)
	}
}

// begin runs the postStart hook of a container that runs, if it owes it.
func (h *hooks) begin(ctx context.Context, pod *corev1.Pod, c cri.Container) {
	spec := lifecycle.Find(&pod.Spec, c.Name)
	handler := postStart(spec)
	h.mu.Lock()
	defer h.mu.Unlock()
	if handler == nil || h.looked[c.ID] {
		return
	}
	h.looked[c.ID] = true
	if !h.files.Owes(h.uid, c.Name, c.Attempt) {
		return
	}
	h.board.probed(c.ID, &lifecycle.Probed{Hook: true})
	h.starting[c.ID] = h.run(ctx, pod, spec, c.ID, handler, func() {
		h.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeWarning, events.PostStartFailed, "PostStartHook failed")
	})
}

// pending reports whether a container's start is not done: the next ones wait for it.
func (h *hooks) pending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.starting) > 0
}

// broken is a container whose postStart hook has failed.
type broken struct {
	cri.Container
	err error
}

// collect begins the postStart hooks that are owed and looks at those that have ended. It
// returns the running containers whose hook has failed.
func (h *hooks) collect(s *step) (failed []broken) {
	running := map[string]cri.Container{}
	for _, c := range h.rt().Containers {
		if c.State == cri.ContainerRunning {
			running[c.ID] = c
			if !s.gone && s.pod.DeletionTimestamp == nil {
				h.begin(s.ctx, s.pod, c)
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, r := range h.starting {
		c, runs := running[id]
		ended := false
		select {
		case <-r.done:
			ended = true
		default:
		}
		switch {
		case !runs:
			r.cancel()
			delete(h.starting, id)
			h.board.probed(id, nil)
		case ended && r.err != nil:
			failed = append(failed, broken{c, r.err})
		case ended:
			h.paid(c)
			delete(h.starting, id)
			h.board.probed(id, nil)
		}
	}
	ended := func(id string) bool { _, runs := running[id]; return !runs }
	maps.DeleteFunc(h.stopping, func(id string, _ *hookRun) bool { return ended(id) })
	maps.DeleteFunc(h.looked, func(id string, _ bool) bool { return ended(id) })
	return failed
}

// settle forgets the postStart hook of a container that was stopped for it.
func (h *hooks) settle(c cri.Container) {
	h.paid(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.starting, c.ID)
	h.board.probed(c.ID, nil)
}

// giveUp ends the postStart hooks of a pod that is about to end.
func (h *hooks) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.starting {
		r.cancel()
	}
}

// over ends what is left of the hooks of a container that has ended.
func (h *hooks) over(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range []map[string]*hookRun{h.starting, h.stopping} {
		if r := all[id]; r != nil {
			r.cancel()
		}
	}
}

// end ends all hooks.
func (h *hooks) end() {
	h.mu.Lock()
	for _, all := range []map[string]*hookRun{h.starting, h.stopping} {
		for _, r := range all {
			r.cancel()
		}
	}
	h.mu.Unlock()
	h.runs.Wait()
}

// preStop runs the preStop hook of a container before it is stopped, for no longer than
// its grace period, and returns what is left of that. A hook that takes longer goes on as
// long as the container does. Several containers may be stopped at once.
func (h *hooks) preStop(s *step, c cri.Container, grace time.Duration) time.Duration {
	spec, handler := lifecycle.Find(&s.pod.Spec, c.Name), (*corev1.LifecycleHandler)(nil)
	switch {
	case spec == nil: // nothing but the container is known
		spec, handler = &corev1.Container{Name: c.Name}, hook.Annotated(c.Annotations[hook.AnnotationPreStop])
	case spec.Lifecycle != nil:
		handler = spec.Lifecycle.PreStop
	}
	if handler == nil || grace <= 0 || c.State != cri.ContainerRunning {
		return grace
	}
	began := h.deps.Wall.Now()
	h.mu.Lock()
	r := h.stopping[c.ID]
	if r == nil {
		r = h.run(s.ctx, s.pod, spec, c.ID, handler, func() {
			h.deps.Events.Event(events.Container(s.pod, c.Name), corev1.EventTypeWarning, events.PreStopFailed, "PreStopHook failed")
		})
		h.stopping[c.ID] = r
	}
	h.mu.Unlock()
	timer := h.deps.Wall.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C():
		if handler.Exec != nil { // which will not outlive its container
			r.failed()
		}
	case <-s.wait.Done():
	}
	return max(grace-h.deps.Wall.Since(began).Truncate(time.Second), 0)
}

// stopBroken stops the containers whose postStart hook has failed.
func (w *Worker) stopBroken(s *step, failed []broken) error {
	for _, c := range failed {
		w.ender.killing(s.pod, c.Container, events.PostStartFailed)
		if err := w.ender.stopContainer(s, c.Container, lifecycle.Grace(s.pod)); err != nil {
			return err
		}
		w.hooks.settle(c.Container)
		w.container(c.Name).broken = &hookError{c.ID, c.err.Error()}
	}
	return nil
}

// hookError is why the start of a container was not completed.
type hookError struct{ id, message string }

// explain says of a container that is to be started again why it does not run.
func (w *Worker) explain(c lifecycle.Start) {
	state, newest := w.container(c.Spec.Name), w.rt().Newest(c.Spec.Name)
	switch e := state.broken; {
	case newest == nil || state.waiting != nil:
	case e != nil && e.id == newest.ID:
		state.waiting = &status.Waiting{Reason: status.PostStartHookError, Message: e.message}
	case w.rt().Fails(newest):
		// However it has ended, it is not over.
		state.waiting = &status.Waiting{Reason: status.ContainerCreating}
	}
}
