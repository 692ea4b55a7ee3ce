package lifecycle

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

// killed is the exit code of a container that was killed; that of one that the runtime
// lost counts as lost.
const (
	killed = 137
	lost   = 255
)

// Restarts reports whether a container that does not run is started again. One that was
// made and never started is.
func Restarts(spec *corev1.PodSpec, c Container, ended *cri.Container) bool {
	switch ended.State {
	case cri.ContainerCreated:
		return true
	case cri.ContainerUnknown:
		return c.Role == Main || c.Role == Sidecar || RestartsAfter(spec, c, lost)
	}
	return RestartsAfter(spec, c, ended.ExitCode)
}

// RestartsAfter reports whether a container is started again that has ended with an exit
// code.
func RestartsAfter(spec *corev1.PodSpec, c Container, code int32) bool {
	return podfields.RestartsAfter(spec, lists[c.Role], c.Spec, code)
}

// RestartsUnhealthy reports whether a container is started again of which a probe has
// failed. Its policy alone decides that, whatever it exits with.
func RestartsUnhealthy(spec *corev1.PodSpec, c Container) bool {
	bare := *c.Spec
	bare.RestartPolicyRules = nil
	return RestartsAfter(spec, Container{c.Role, &bare}, killed)
}

// again is Restarts, or RestartsUnhealthy of one that was stopped for that.
func (d *decision) again(c Container, ended *cri.Container) bool {
	if ended.State == cri.ContainerExited && d.r.Fails(ended) {
		return RestartsUnhealthy(&d.pod.Spec, c)
	}
	return Restarts(&d.pod.Spec, c, ended)
}

// lists are where containers of each role stand.
var lists = map[Role]podfields.List{Init: podfields.Init, Sidecar: podfields.Init, Main: podfields.Main, Ephemeral: podfields.Ephemeral}

// trigger is the container whose end has all containers of the pod restarted.
func (d *decision) trigger(all []Container) *Container {
	for i, c := range all {
		ended := d.here(c.Spec.Name)
		if c.Role == Ephemeral || ended == nil || ended.State != cri.ContainerExited || d.r.Fails(ended) {
			continue
		}
		if rule := podfields.MatchingRule(c.Spec, ended.ExitCode); rule != nil && podfields.RestartsAll(*rule) {
			return &all[i]
		}
	}
	return nil
}

// reset plans that all containers are removed. The one that is the reason goes last, so
// that whoever is interrupted finds it again.
func (d *decision) reset(all []Container, trigger *Container) {
	var last []cri.Container
	for _, c := range all {
		if c.Role == Ephemeral {
			continue
		}
		attempts := Attempts(d.r.Containers, c.Spec.Name)
		slices.Reverse(attempts)
		if c.Spec == trigger.Spec {
			last = attempts
		} else {
			d.plan.Reset = append(d.plan.Reset, attempts...)
		}
	}
	d.plan.Reset = append(d.plan.Reset, last...)
	d.plan.Trigger = &Start{Container: *trigger}
}
