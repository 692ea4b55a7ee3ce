package podworker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/events"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
)

// ender stops and removes what the pod has on the runtime.
type ender struct {
	*core
	observer *observer
	reporter *reporter
	probes   *probes
	hooks    *hooks
}

// leastGrace is what a container has at least to end itself, however much of its grace
// period its hook and the wait for its turn took.
const leastGrace = 2 * time.Second

// stopAll stops the running containers, and then the sandboxes. It returns a pause when
// it must be called again: the stopping failed, or the pod's grace period was cut short
// meanwhile.
func (e *ender) stopAll(s *step, grace time.Duration) time.Duration {
	if pause := e.stopContainers(s, grace); pause > 0 {
		return pause
	}
	var failed error
	for _, b := range e.rt().Sandboxes {
		if failed == nil && b.State == cri.SandboxReady {
			failed = e.stopSandbox(s.ctx, b.ID)
		}
	}
	return e.stopped(s, failed)
}

// stopContainers stops the running containers: all at once, but sidecars each in its
// turn. They share one grace period.
func (e *ender) stopContainers(s *step, grace time.Duration) time.Duration {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	var running []cri.Container
	done := map[string]chan struct{}{} // by ID
	ended := map[string][]chan struct{}{}
	e.probes.ending("")
	e.hooks.giveUp()
	for _, c := range e.rt().Containers {
		if c.State == cri.ContainerRunning || c.State == cri.ContainerUnknown {
			running = append(running, c)
			done[c.ID] = make(chan struct{})
			ended[c.Name] = append(ended[c.Name], done[c.ID])
		}
	}
	for _, c := range running {
		e.killing(s.pod, c, "Stopping container "+c.Name)
		wg.Go(func() {
			defer close(done[c.ID])
			turn := func(left time.Duration) time.Duration {
				return e.turn(s, lifecycle.Before(&s.pod.Spec, c.Name), ended, left)
			}
			if err := e.stop(s, c, grace, turn); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	e.reporter.await(s, wg.Wait)
	if s.wait.Err() != nil {
		e.board.markDirty()
		return time.Millisecond
	}
	if failed == nil && len(running) > 0 {
		failed = e.seeEnd(s.ctx, running...)
	}
	return e.stopped(s, failed)
}

// seeEnd learns how containers ended that were stopped. A runtime may answer that one has
// stopped, since its process is gone, before its own state says so: until then nothing
// true could be told of it.
func (e *ender) seeEnd(ctx context.Context, stopped ...cri.Container) error {
	pause := e.deps.Wall.NewTimer(exitPause)
	defer pause.Stop()
	var still []string
	for range exitLooks {
		if _, err := e.observer.refresh(ctx); err != nil {
			return err
		}
		still = still[:0]
		for _, c := range e.board.snapshot().Running() {
			if slices.ContainsFunc(stopped, func(s cri.Container) bool { return s.ID == c.ID }) {
				still = append(still, c.Name)
			}
		}
		if len(still) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C():
			pause.Reset(exitPause)
		}
	}
	return fmt.Errorf("the runtime has stopped the containers %s, and says that they run", strings.Join(still, ", "))
}

// turn waits until containers have ended, as long as the grace period lasts. It returns
// what is left of that.
func (e *ender) turn(s *step, before []string, ended map[string][]chan struct{}, grace time.Duration) time.Duration {
	began := e.deps.Wall.Now()
	timer := e.deps.Wall.NewTimer(grace)
	defer timer.Stop()
	for _, name := range before {
		for _, end := range ended[name] {
			select {
			case <-end:
			case <-timer.C():
				return 0
			case <-s.wait.Done():
				return 0
			}
		}
	}
	return grace - e.deps.Wall.Since(began).Truncate(time.Second)
}

// stopped records that stopping failed, and has it done again.
func (e *ender) stopped(s *step, failed error) time.Duration {
	if s.ctx.Err() != nil {
		return again
	}
	if failed != nil {
		e.log("pod not stopped", "error", failed)
		e.deps.Events.Eventf(events.Pod(s.pod), corev1.EventTypeWarning, events.KillSandbox, "error killing pod: %s", cri.Message(failed))
		e.board.markDirty()
		return again
	}
	return 0
}

// stopContainer stops one container and learns how it ended.
func (e *ender) stopContainer(s *step, c cri.Container, grace time.Duration) error {
	var err error
	if e.reporter.await(s, func() { err = e.stop(s, c, grace, nil) }); err != nil {
		e.board.markDirty()
		return err
	}
	if err = e.seeEnd(s.ctx, c); err != nil && s.ctx.Err() == nil {
		e.log("container not stopped", "container", c.Name, "error", err)
		e.board.markDirty()
	}
	return err
}

// stop runs a container's preStop hook, waits for its turn where it has one, and stops
// it. All of that uses up the grace period. Several may be stopped at once.
func (e *ender) stop(s *step, c cri.Container, grace time.Duration, turn func(left time.Duration) time.Duration) error {
	e.probes.ending(c.ID)
	grace = e.hooks.preStop(s, c, grace)
	if turn != nil {
		grace = turn(grace)
	}
	if s.wait.Err() != nil {
		return s.wait.Err()
	}
	if err := e.deps.Stop(s.wait, c, max(grace, leastGrace)); err != nil {
		return err
	}
	e.probes.ended(c.ID)
	e.hooks.over(c.ID)
	return nil
}

// killing records once that a container is being stopped.
func (e *ender) killing(pod *corev1.Pod, c cri.Container, message string) {
	state := e.container(c.Name)
	if state.killed == c.ID || pod.Name == "" {
		return
	}
	state.killed = c.ID
	e.deps.Events.Event(events.Container(pod, c.Name), corev1.EventTypeNormal, events.Killing, message)
}

// sweep removes all that the pod has on the runtime, and its logs.
func (e *ender) sweep(ctx context.Context, pod *corev1.Pod) error {
	for _, s := range e.rt().Sandboxes {
		if err := e.deps.Runtime.RemoveSandbox(ctx, s.ID); err != nil {
			return err
		}
		e.deps.Inventory.Disown(s.ID)
	}
	for _, c := range e.rt().Containers {
		if err := e.deps.Runtime.RemoveContainer(ctx, c.ID); err != nil {
			return err
		}
		e.deps.Inventory.Disown(c.ID)
	}
	e.board.show(func(s *Snapshot) { s.Runtime = lifecycle.Runtime{} })
	if pod.Name == "" {
		return nil
	}
	return e.deps.Logs.RemoveAll(runspec.LogDir("", pod.Namespace, pod.Name, string(e.uid)))
}

// prune removes dead containers but the newest one before the current, with their
// logs, and the sandboxes that are left empty by that.
func (e *ender) prune(ctx context.Context) {
	pod := e.board.snapshot().Pod
	containers, sandboxes := lifecycle.Surplus(e.rt())
	for _, c := range containers {
		if err := e.removeContainer(ctx, c); err != nil {
			e.log("dead container not removed", "error", err)
			return
		}
		if err := logs.RemoveLog(e.deps.Logs, runspec.ContainerLog(pod, c.Name, c.Attempt)); err != nil && !errors.Is(err, os.ErrNotExist) {
			e.log("old log not removed", "error", err)
		}
	}
	gone := map[string]bool{}
	for _, s := range sandboxes {
		err := e.deps.Runtime.RemoveSandbox(ctx, s.ID)
		if err != nil {
			e.log("dead sandbox not removed", "error", err)
		}
		gone[s.ID] = err == nil
	}
	left := slices.DeleteFunc(slices.Clone(e.rt().Sandboxes), func(s cri.Sandbox) bool { return gone[s.ID] })
	e.board.show(func(s *Snapshot) { s.Runtime.Sandboxes = left })
}

// removeContainer removes a container that does not run, with its log.
func (e *ender) removeContainer(ctx context.Context, c cri.Container) error {
	if err := e.deps.Runtime.RemoveContainer(ctx, c.ID); err != nil && !errors.Is(err, cri.ErrNotFound) {
		return fmt.Errorf("removing dead container: %w", err)
	}
	e.deps.Inventory.Disown(c.ID)
	e.observer.dropContainer(c.ID)
	return nil
}
