package onupdate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Validate compares rules with the pod that they are of. Its error is of type Errors:
// volumes and containers that are not there or do not go together, and actions that
// the pod rules out.
func Validate(rules []Rule, pod *corev1.Pod) error {
	var m mistakes
	for i := range rules {
		validate(&m, &rules[i], &pod.Spec)
	}
	return m.err()
}

func validate(m *mistakes, r *Rule, spec *corev1.PodSpec) {
	c := container(m, r, spec)
	mounted := false
	for i, name := range r.Volumes {
		at := r.at.rule
		if i < len(r.at.volumes) {
			at = r.at.volumes[i]
		}
		validateVolume(m, r, spec, at, name)
		mounts := c != nil && Mounts(c, name)
		mounted = mounted || mounts
		if c != nil && r.IsCheck() && !mounts {
			m.at(at, name, "container %s does not mount volume %s, so it cannot check it", r.Container, name)
		}
	}
	if c != nil && !mounted && !r.IsCheck() {
		m.at(r.at.container, r.Container, "container %s mounts none of the rule's volumes", r.Container)
	}
	if r.Restart && spec.RestartPolicy == corev1.RestartPolicyNever {
		m.at(r.at.action, "", "restart needs a pod whose restartPolicy is Always or OnFailure, this one's is Never")
	}
}

// container finds the rule's container.
func container(m *mistakes, r *Rule, spec *corev1.PodSpec) *corev1.Container {
	named := func(c corev1.Container) bool { return c.Name == r.Container }
	if i := slices.IndexFunc(spec.Containers, named); i >= 0 {
		return &spec.Containers[i]
	}
	if slices.ContainsFunc(spec.InitContainers, named) {
		m.at(r.at.container, r.Container, "%s is an init container: rules are for containers that run as long as the pod", r.Container)
		return nil
	}
	m.at(r.at.container, r.Container, "the pod has no container %q%s", r.Container, others(spec.Containers, func(c corev1.Container) string { return c.Name }))
	return nil
}

// others lists names for a person who took a wrong one.
func others[T any](all []T, name func(T) string) string {
	text := ""
	for i, one := range all {
		switch {
		case i == 0:
			text = ", it has " + name(one)
		case i == 8:
			return text + " and more"
		default:
			text += ", " + name(one)
		}
	}
	return text
}

func validateVolume(m *mistakes, r *Rule, spec *corev1.PodSpec, at place, name string) {
	i := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	if i < 0 {
		m.at(at, name, "the pod has no volume %q%s", name, others(spec.Volumes, func(v corev1.Volume) string { return v.Name }))
		return
	}
	v := &spec.Volumes[i]
	switch {
	case v.Secret == nil && v.ConfigMap == nil && v.DownwardAPI == nil && v.Projected == nil:
		m.at(at, name, "volume %s is never updated: rules are for secret, configMap, downwardAPI and projected volumes", name)
	case r.IsCheck() && v.Projected != nil && !slices.ContainsFunc(v.Projected.Sources, hasContent):
		m.at(at, name, "volume %s has only tokens and certificates, which are published without a check", name)
	}
}

// hasContent tells whether changes of a source can wait for a check.
func hasContent(s corev1.VolumeProjection) bool {
	return s.Secret != nil || s.ConfigMap != nil || s.DownwardAPI != nil
}

// Mounts tells whether a container mounts a volume, whole or in part.
func Mounts(c *corev1.Container, volume string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(v corev1.VolumeMount) bool { return v.Name == volume })
}
