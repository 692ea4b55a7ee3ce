package podfields

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// RestartsAfter reports whether a container is started again that has ended with an exit
// code: what its own rules say, else its own policy, else the pod's (KEP-5307). An init
// container that has succeeded is done, a sidecar always comes back, an ephemeral
// container never.
func RestartsAfter(spec *corev1.PodSpec, list List, c *corev1.Container, code int32) bool {
	switch {
	case list == Ephemeral:
		return false
	case list == Init && Sidecar(c):
		return true
	case list == Init && code == 0:
		return false
	}
	if MatchingRule(c, code) != nil {
		return true // whatever its action is: all start the container again
	}
	policy := spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// Sidecar reports whether an init container is a sidecar: one that runs on.
func Sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// MatchingRule is the first of a container's own rules that an exit code matches, nil
// when none does.
func MatchingRule(c *corev1.Container, code int32) *corev1.ContainerRestartRule {
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

// MayRestartAll reports whether a container of a pod has a rule that restarts all of it.
func MayRestartAll(spec *corev1.PodSpec) bool {
	for _, c := range DeclaredContainers(spec) {
		if slices.ContainsFunc(c.RestartPolicyRules, RestartsAll) {
			return true
		}
	}
	return false
}

// RestartsAll reports whether a rule has all containers of the pod started again.
func RestartsAll(rule corev1.ContainerRestartRule) bool {
	return rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers
}
