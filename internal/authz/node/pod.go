package node

import (
	corev1 "k8s.io/api/core/v1"
)

// referencesOf returns the objects that a pod gives its node access to, each once,
// the pod among them. A mirror pod, which a node makes itself, gives access to
// nothing but itself.
func referencesOf(pod *corev1.Pod) []reference {
	c := collector{namespace: pod.Namespace, seen: map[reference]bool{}}
	c.add(podKind, pod.Name)
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return c.refs
	}
	c.add(serviceAccountKind, pod.Spec.ServiceAccountName)
	for _, s := range pod.Spec.ImagePullSecrets {
		c.add(secretKind, s.Name)
	}
	for i := range pod.Spec.InitContainers {
		c.container(pod.Spec.InitContainers[i].EnvFrom, pod.Spec.InitContainers[i].Env)
	}
	for i := range pod.Spec.Containers {
		c.container(pod.Spec.Containers[i].EnvFrom, pod.Spec.Containers[i].Env)
	}
	for i := range pod.Spec.EphemeralContainers {
		c.container(pod.Spec.EphemeralContainers[i].EnvFrom, pod.Spec.EphemeralContainers[i].Env)
	}
	for i := range pod.Spec.Volumes {
		c.volume(&pod.Spec.Volumes[i].VolumeSource)
	}
	return c.refs
}

type collector struct {
	namespace string
	refs      []reference
	seen      map[reference]bool
}

func (c *collector) add(kind, name string) {
	r := reference{kind, c.namespace, name}
	if name == "" || c.seen[r] {
		return
	}
	c.seen[r] = true
	c.refs = append(c.refs, r)
}

func (c *collector) container(from []corev1.EnvFromSource, env []corev1.EnvVar) {
	for _, f := range from {
		if f.SecretRef != nil {
			c.add(secretKind, f.SecretRef.Name)
		}
		if f.ConfigMapRef != nil {
			c.add(configMapKind, f.ConfigMapRef.Name)
		}
	}
	for _, e := range env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			c.add(secretKind, r.Name)
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			c.add(configMapKind, r.Name)
		}
	}
}

func (c *collector) volume(v *corev1.VolumeSource) {
	switch {
	case v.Secret != nil:
		c.add(secretKind, v.Secret.SecretName)
	case v.ConfigMap != nil:
		c.add(configMapKind, v.ConfigMap.Name)
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				c.add(secretKind, s.Secret.Name)
			}
			if s.ConfigMap != nil {
				c.add(configMapKind, s.ConfigMap.Name)
			}
		}
	case v.CSI != nil:
		c.local(v.CSI.NodePublishSecretRef)
	case v.AzureFile != nil:
		c.add(secretKind, v.AzureFile.SecretName)
	case v.CephFS != nil:
		c.local(v.CephFS.SecretRef)
	case v.Cinder != nil:
		c.local(v.Cinder.SecretRef)
	case v.FlexVolume != nil:
		c.local(v.FlexVolume.SecretRef)
	case v.RBD != nil:
		c.local(v.RBD.SecretRef)
	case v.ScaleIO != nil:
		c.local(v.ScaleIO.SecretRef)
	case v.ISCSI != nil:
		c.local(v.ISCSI.SecretRef)
	case v.StorageOS != nil:
		c.local(v.StorageOS.SecretRef)
	}
}

func (c *collector) local(r *corev1.LocalObjectReference) {
	if r != nil {
		c.add(secretKind, r.Name)
	}
}
