package serviceaccounttoken

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPodsUsesOfSecrets(t *testing.T) {
	ref := corev1.LocalObjectReference{Name: "s"}
	env := []corev1.EnvVar{{Name: "A", Value: "s"}, {Name: "B", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref}}}}
	from := []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref}}}
	volume := func(v corev1.VolumeSource) corev1.PodSpec {
		return corev1.PodSpec{Volumes: []corev1.Volume{{Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}, {Name: "v", VolumeSource: v}}}
	}
	for name, spec := range map[string]corev1.PodSpec{
		"volume":           volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}),
		"projected volume": volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{}, {Secret: &corev1.SecretProjection{LocalObjectReference: ref}}}}}),
		"CSI volume":       volume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{NodePublishSecretRef: &ref}}),
		"storage driver":   volume(corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{SecretRef: &ref}}),
		"env":              {Containers: []corev1.Container{{}, {Env: env}}},
		"envFrom":          {Containers: []corev1.Container{{EnvFrom: from}}},
		"init container":   {InitContainers: []corev1.Container{{Env: env}}},
		"ephemeral":        {EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{EnvFrom: from}}}},
		"pull secret":      {ImagePullSecrets: []corev1.LocalObjectReference{{Name: "x"}, ref}},
	} {
		pod := &corev1.Pod{Spec: spec}
		if !names(pod, "s") || names(pod, "t") {
			t.Errorf("%s: names s %v, names t %v", name, names(pod, "s"), names(pod, "t"))
		}
	}
}
