package lifecycle

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

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
// code: what its own rules say, else its own policy, else the pod's (KEP-5307).
func RestartsAfter(spec *corev1.PodSpec, c Container, code int32) bool {
	switch c.Role {
	case Ephemeral:
		return false
	case Sidecar:
		return true
	case Init:
		if code == 0 {
			return false
		}
	}
	if rule := matching(c.Spec, code); rule != nil {
		return true
	}
	policy := spec.RestartPolicy
	if c.Spec.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.Spec.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// matching is the first of a container's rules that an exit code matches, nil when none
// does. All actions that there are start the container again.
func matching(c *corev1.Container, code int32) *corev1.ContainerRestartRule {
	if c.RestartPolicy == nil {
		return nil
	}
	for i := range c.RestartPolicyRules {
		rule := &c.RestartPolicyRules[i]
		if rule.ExitCodes == nil {
			continue
		}
		in := slices.Contains(rule.ExitCodes.Values, code)
		switch rule.ExitCodes.Operator {
		case corev1.ContainerRestartRuleOnExitCodesOpIn:
			if in {
				return rule
			}
		case corev1.ContainerRestartRuleOnExitCodesOpNotIn:
			if !in {
				return rule
			}
		}
	}
	return nil
}

// MayRestartAll reports whether a container of a pod has a rule that restarts all.
func MayRestartAll(spec *corev1.PodSpec) bool {
	for _, c := range Only(spec, Init, Sidecar, Main) {
		if slices.ContainsFunc(c.Spec.RestartPolicyRules, restartsAll) {
			return true
		}
	}
	return false
}

func restartsAll(rule corev1.ContainerRestartRule) bool {
	return rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers
}

// trigger is the container whose end has all containers of the pod restarted.
func (d *decision) trigger(all []Container) *Container {
	for i, c := range all {
		ended := d.here(c.Spec.Name)
		if c.Role == Ephemeral || ended == nil || ended.State != cri.ContainerExited {
			continue
		}
		if rule := matching(c.Spec, ended.ExitCode); rule != nil && restartsAll(*rule) {
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
