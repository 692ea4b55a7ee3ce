package podidentity

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// The variables that are injected.
const (
	envRole       = "AWS_ROLE_ARN"
	envTokenFile  = "AWS_WEB_IDENTITY_TOKEN_FILE"
	envFullURI    = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envAgentToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	envRegion     = "AWS_REGION"
	envDefault    = "AWS_DEFAULT_REGION"
	envRegional   = "AWS_STS_REGIONAL_ENDPOINTS"
)

// The label of pods with container credentials.
const (
	labelKey   = "eks.amazonaws.com/pod-identity"
	labelValue = "enabled"
)

// own are the two variables by which an SDK finds its credentials, with their values.
func (i *Injection) own(tokenFile string) [2]corev1.EnvVar {
	if i.Method == Agent {
		return [2]corev1.EnvVar{{Name: envFullURI, Value: i.FullURI}, {Name: envAgentToken, Value: tokenFile}}
	}
	return [2]corev1.EnvVar{{Name: envRole, Value: i.RoleARN}, {Name: envTokenFile, Value: tokenFile}}
}

// into injects into a container; whose backing arrays it leaves alone. A container that
// has one variable of each sort keeps what it has, and gets no mount.
func (i *Injection) into(c *corev1.Container, tokenFile string) {
	own := i.own(tokenFile)
	var hasOwn, hasRegion, hasRegional bool
	for _, e := range c.Env {
		switch e.Name {
		case own[0].Name, own[1].Name:
			hasOwn = true
		case envRegion, envDefault:
			hasRegion = true
		case envRegional:
			hasRegional = true
		}
	}
	if hasOwn && hasRegion && hasRegional {
		return
	}
	env := slices.Clip(c.Env)
	if !hasRegional && i.regionalSTS {
		env = append(env, corev1.EnvVar{Name: envRegional, Value: "regional"})
	}
	if !hasRegion && i.region != "" {
		env = append(env, corev1.EnvVar{Name: envDefault, Value: i.region}, corev1.EnvVar{Name: envRegion, Value: i.region})
	}
	if !hasOwn {
		env = append(env, own[:]...)
	}
	c.Env = env
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == i.volumeName }) {
		c.VolumeMounts = append(slices.Clip(c.VolumeMounts), corev1.VolumeMount{Name: i.volumeName, ReadOnly: true, MountPath: i.mountPath})
	}
}

// all returns containers after the injection; those that were given are as they were.
func (i *Injection) all(containers []corev1.Container, tokenFile string) []corev1.Container {
	out := make([]corev1.Container, len(containers))
	for at, c := range containers {
		if !i.skip[c.Name] {
			i.into(&c, tokenFile)
		}
		out[at] = c
	}
	return out
}

// volume is the volume with the token.
func (i *Injection) volume() corev1.Volume {
	return corev1.Volume{Name: i.volumeName, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: i.Audience, ExpirationSeconds: &i.Expiration, Path: i.tokenPath,
		}}},
	}}}
}

// hasVolume returns the pod's volume of the name, nil if it has none.
func (i *Injection) hasVolume(pod *corev1.Pod) *corev1.Volume {
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == i.volumeName })
	if at < 0 {
		return nil
	}
	return &pod.Spec.Volumes[at]
}

// Apply does to a pod what Patch words, with the defaults that the API server gives what is
// patched. Applied again it changes nothing.
func (i *Injection) Apply(pod *corev1.Pod) {
	tokenFile := i.tokenFile(pod)
	if i.Method == Agent {
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		pod.Labels[labelKey] = labelValue
	}
	if i.hasVolume(pod) == nil {
		v := i.volume()
		v.Projected.DefaultMode = new(corev1.ProjectedVolumeSourceDefaultMode)
		pod.Spec.Volumes = append([]corev1.Volume{v}, pod.Spec.Volumes...)
	}
	pod.Spec.Containers = i.all(pod.Spec.Containers, tokenFile)
	if len(pod.Spec.InitContainers) > 0 {
		pod.Spec.InitContainers = i.all(pod.Spec.InitContainers, tokenFile)
	}
}

// ApplyTo injects into one ephemeral container of a pod that has the volume already, and
// into none else: volumes do not come to running pods. The webhook knows no such containers.
func (i *Injection) ApplyTo(pod *corev1.Pod, c *corev1.EphemeralContainer) {
	if v := i.hasVolume(pod); v != nil && i.isToken(v) && !i.skip[c.Name] {
		i.into((*corev1.Container)(&c.EphemeralContainerCommon), i.tokenFile(pod))
	}
}

// isToken tells whether a volume holds the token that the variables name.
func (i *Injection) isToken(v *corev1.Volume) bool {
	return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool {
		t := p.ServiceAccountToken
		return t != nil && t.Audience == i.Audience && t.Path == i.tokenPath
	})
}
