package serviceaccount

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/podfields"
)

const (
	// volumePrefix begins the name of the API volume.
	volumePrefix = "kube-api-access-"
	// mountPath is where clients look for it.
	mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
	// tokenSeconds marks the token as the injected one: tokens of exactly this
	// life are those that --service-account-extend-token-expiration extends.
	tokenSeconds = 3607
)

// automounts reports whether a pod gets the API volume: its own word counts first,
// then that of its service account.
func automounts(account *corev1.ServiceAccount, pod *corev1.Pod) bool {
	if v := pod.Spec.AutomountServiceAccountToken; v != nil {
		return *v
	}
	return ptr.Deref(account.AutomountServiceAccountToken, true)
}

// mount gives a pod's containers the credentials of its service account.
func (p *Plugin) mount(ctx context.Context, account *corev1.ServiceAccount, pod *corev1.Pod) error {
	if p.config.Legacy {
		return p.mountSecret(ctx, account, pod)
	}
	p.mountProjected(pod)
	return nil
}

// mountProjected adds the API volume, and mounts it. A volume that has its prefix
// already is used as it is.
func (p *Plugin) mountProjected(pod *corev1.Pod) {
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, volumePrefix) })
	name := ""
	if at >= 0 {
		name = pod.Spec.Volumes[at].Name
	} else {
		name = p.config.VolumeName(volumePrefix)
	}
	if mountEverywhere(pod, name) && at < 0 {
		pod.Spec.Volumes = append(pod.Spec.Volumes, volume(name))
	}
}

// mountEverywhere mounts a volume in every container that has nothing at its path, and
// tells whether there is one.
func mountEverywhere(pod *corev1.Pod, name string) (used bool) {
	for _, c := range podfields.DeclaredContainers(&pod.Spec) {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == mountPath }) {
			continue
		}
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: mountPath})
		used = true
	}
	return used
}

// volume is the API volume: token, certificate authority and namespace.
func volume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To(corev1.ProjectedVolumeSourceDefaultMode),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To[int64](tokenSeconds)}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
			}}},
		},
	}}}
}
