package serviceaccounttoken

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// names tells whether a pod makes any use of a Secret.
func names(pod *corev1.Pod, secret string) bool {
	spec := &pod.Spec
	return slices.ContainsFunc(spec.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r.Name == secret }) ||
		slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return volumeNames(v, secret) }) ||
		slices.ContainsFunc(spec.InitContainers, func(c corev1.Container) bool { return envNames(c.Env, c.EnvFrom, secret) }) ||
		slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return envNames(c.Env, c.EnvFrom, secret) }) ||
		slices.ContainsFunc(spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return envNames(c.Env, c.EnvFrom, secret) })
}

func volumeNames(v corev1.Volume, secret string) bool {
	switch {
	case v.Secret != nil:
		return v.Secret.SecretName == secret
	case v.Projected != nil:
		return slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.Secret != nil && s.Secret.Name == secret })
	case v.CSI != nil:
		return v.CSI.NodePublishSecretRef != nil && v.CSI.NodePublishSecretRef.Name == secret
	}
	return false
}

func envNames(env []corev1.EnvVar, from []corev1.EnvFromSource, secret string) bool {
	return slices.ContainsFunc(env, func(e corev1.EnvVar) bool {
		return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secret
	}) || slices.ContainsFunc(from, func(f corev1.EnvFromSource) bool { return f.SecretRef != nil && f.SecretRef.Name == secret })
}
