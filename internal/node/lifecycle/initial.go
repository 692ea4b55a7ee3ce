package lifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/runtime/cri"
)

// initialize plans the init containers and sidecars, in their order. done says that the
// main containers may be started, failed that an init container ended the pod.
//
// How far a pod has come is told by the last of them that was started in the sandbox in
// use: the records of those before it may be gone. Once a main container was started
// there, no init container runs again.
func (d *decision) initialize(list []Container) (done, failed bool) {
	initialized, reached := d.initialized(), d.reached(list)
	for i, c := range list {
		passed := initialized || i < reached
		switch {
		case c.Role == Sidecar:
			passed = d.sidecar(c) || passed
		case !passed:
			if passed, failed = d.init(c); failed {
				return false, true
			}
		}
		if !passed {
			return false, false
		}
	}
	return true, false
}

// initialized reports whether a main container was started in the sandbox in use.
func (d *decision) initialized() bool {
	for _, c := range Only(&d.pod.Spec, Main) {
		if d.here(c.Spec.Name) != nil {
			return true
		}
		if s := d.remembered(c); s != nil {
			for _, state := range []corev1.ContainerState{s.State, s.LastTerminationState} {
				if state.Running != nil && d.since(state.Running.StartedAt.Time) || state.Terminated != nil && d.since(state.Terminated.StartedAt.Time) {
					return true
				}
			}
		}
	}
	return false
}

// reached is the index of the last container that was started in the sandbox in use, -1
// when none was.
func (d *decision) reached(list []Container) int {
	for i := len(list) - 1; i >= 0; i-- {
		if d.here(list[i].Spec.Name) != nil || list[i].Role == Init && d.rememberedDone(list[i]) {
			return i
		}
	}
	return -1
}

// init plans the init container that it is the turn of.
func (d *decision) init(c Container) (passed, failed bool) {
	newest := d.r.Newest(c.Spec.Name)
	here := d.here(c.Spec.Name)
	switch {
	case newest == nil && d.rememberedDone(c):
		return true, false
	case newest == nil, newest.State == cri.ContainerCreated:
		d.start(c)
	case here != nil && here.State == cri.ContainerRunning:
		if d.replace.Wants(here) {
			d.plan.Stop = append(d.plan.Stop, *here)
			d.plan.Start = append(d.plan.Start, Start{Container: c, Asked: true})
		}
	case here != nil && here.State == cri.ContainerExited && here.ExitCode == 0:
		return true, false
	case here == nil && newest.State == cri.ContainerExited && newest.ExitCode == 0:
		d.start(c) // again, in a new sandbox
	case here == nil && newest.State == cri.ContainerRunning:
		if !RestartsAfter(&d.pod.Spec, c, killed) {
			return false, true
		}
		d.start(c)
	case !Restarts(&d.pod.Spec, c, newest):
		return false, true
	default:
		d.start(c)
	}
	return false, false
}

// sidecar plans a sidecar. started says that the next container need not wait for it.
func (d *decision) sidecar(c Container) (started bool) {
	here := d.here(c.Spec.Name)
	if here == nil || here.State != cri.ContainerRunning {
		d.start(c)
		return false
	}
	if changed := !follows(c.Spec, here); changed || d.replace.Wants(here) {
		d.plan.Stop = append(d.plan.Stop, *here)
		d.plan.Start = append(d.plan.Start, Start{Container: c, Asked: !changed})
		return false
	}
	return d.r.Started(here)
}

func (d *decision) start(c Container) { d.plan.Start = append(d.plan.Start, Start{Container: c}) }

// remembered is what the API knows of a container that the runtime has no record of. It
// means nothing while all containers are being restarted.
func (d *decision) remembered(c Container) *corev1.ContainerStatus {
	if d.r.Newest(c.Spec.Name) != nil || Restarting(&d.pod.Status) {
		return nil
	}
	return Reported(&d.pod.Status, c.Spec.Name)
}

// rememberedDone reports whether the API knows that an init container, of which the
// runtime has no record, has succeeded in the sandbox in use.
func (d *decision) rememberedDone(c Container) bool {
	s := d.remembered(c)
	return s != nil && s.State.Terminated != nil && s.State.Terminated.ExitCode == 0 && d.since(s.State.Terminated.StartedAt.Time)
}

// since reports whether a moment of real time, in whole seconds as the API has it, lies
// in the life of the sandbox in use.
func (d *decision) since(at time.Time) bool {
	return d.plan.Sandbox != nil && !d.plan.Sandbox.CreatedAt.IsZero() && !at.Before(d.plan.Sandbox.CreatedAt.Truncate(time.Second))
}

// Restarting reports whether a status says that all containers of the pod are being
// removed to be started again.
func Restarting(s *corev1.PodStatus) bool {
	for _, c := range s.Conditions {
		if c.Type == corev1.AllContainersRestarting {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
