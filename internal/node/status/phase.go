package status

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// phase follows the pod life cycle: Pending until the pod is initialized and every main
// container was started once, then Running until all of these have ended for good. A
// final phase never changes again, and is not reached while a container runs.
func phase(in Input, s *corev1.PodStatus) corev1.PodPhase {
	if finished(in.Pod.Status.Phase) {
		return in.Pod.Status.Phase
	}
	now := tallied(in, s)
	p := now.phase(in.Terminal)
	switch {
	case in.Terminal && !finished(p):
		return corev1.PodFailed // it was ended before it was begun
	case !in.Terminal && finished(p) && anyRuns(in.Containers):
		if now.pending > 0 || now.failed > 0 {
			return corev1.PodPending
		}
		return corev1.PodRunning
	}
	return p
}

func anyRuns(all []cri.Container) bool {
	return slices.ContainsFunc(all, func(c cri.Container) bool { return c.State == cri.ContainerRunning })
}

// tally counts the containers of a pod by how they are.
type tally struct {
	pending                                          int // to be waited for before the main containers
	failed                                           int // init containers that failed for good
	waiting, running, stopped, succeeded, restarting int
}

func tallied(in Input, s *corev1.PodStatus) (t tally) {
	for _, c := range lifecycle.Containers(&in.Pod.Spec) {
		k := lifecycle.Reported(s, c.Spec.Name)
		if k == nil {
			continue // the pod was not taken
		}
		switch c.Role {
		case lifecycle.Init:
			t.init(&in.Pod.Spec, c, k)
		case lifecycle.Sidecar:
			t.sidecar(k, mainStarted(s))
		case lifecycle.Main:
			t.main(&in.Pod.Spec, c, k, in.again(c))
		}
	}
	return t
}

func (t *tally) init(spec *corev1.PodSpec, c lifecycle.Container, s *corev1.ContainerStatus) {
	ended := s.State.Terminated
	if ended == nil && s.State.Waiting != nil {
		ended = s.LastTerminationState.Terminated
	}
	switch {
	case ended == nil, ended.Reason == RestartingAllContainers:
		t.pending++
	case ended.ExitCode != 0 && !lifecycle.RestartsAfter(spec, c, ended.ExitCode):
		t.failed++
	case ended.ExitCode != 0 || s.State.Terminated == nil:
		t.pending++
	}
}

// sidecar counts one that runs among what runs. Those that have ended do not count.
func (t *tally) sidecar(s *corev1.ContainerStatus, initialized bool) {
	switch {
	case s.State.Running != nil:
		t.running++
		if !*s.Started && !initialized {
			t.pending++
		}
	case s.State.Waiting != nil && s.LastTerminationState.Terminated == nil && !initialized:
		t.pending++
	}
}

// again reports whether a container is started again, however it has ended: since it is to
// be replaced, or was stopped since a probe had failed.
func (in Input) again(c lifecycle.Container) bool {
	known := lifecycle.Runtime{Containers: in.Containers, Probed: in.Probed}
	newest := known.Newest(c.Spec.Name)
	return newest != nil && (in.Replaced.Wants(newest) || known.Fails(newest) && lifecycle.RestartsUnhealthy(&in.Pod.Spec, c))
}

func (t *tally) main(spec *corev1.PodSpec, c lifecycle.Container, s *corev1.ContainerStatus, again bool) {
	ended := s.State.Terminated
	if ended == nil {
		ended = s.LastTerminationState.Terminated
	}
	switch {
	case s.State.Running != nil:
		t.running++
	case ended == nil:
		t.waiting++
	default:
		t.stopped++
		if s.State.Terminated != nil && ended.ExitCode == 0 {
			t.succeeded++
		}
		if ended.Reason == RestartingAllContainers || again || lifecycle.RestartsAfter(spec, c, ended.ExitCode) {
			t.restarting++
		}
	}
}

func (t *tally) phase(terminal bool) corev1.PodPhase {
	switch {
	case t.failed > 0:
		return corev1.PodFailed
	case t.pending > 0 || t.waiting > 0:
		return corev1.PodPending
	case t.running > 0:
		return corev1.PodRunning
	case t.stopped == 0:
		return corev1.PodPending
	case !terminal && t.restarting > 0:
		return corev1.PodRunning
	case t.stopped == t.succeeded:
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}

// mainStarted reports whether a main container runs or has run, in the sandbox in use:
// then the pod is initialized.
func mainStarted(s *corev1.PodStatus) bool {
	return slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil || c.State.Terminated != nil
	})
}
