package serviceaccount

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// enforceAnnotation on a service account limits its pods to the secrets that it
// lists.
const enforceAnnotation = "kubernetes.io/enforce-mountable-secrets"

func limited(account *corev1.ServiceAccount) bool {
	on, _ := strconv.ParseBool(account.Annotations[enforceAnnotation])
	return on
}

// secretUse is one place of a pod that names a secret. what words it for refusals.
type secretUse struct{ what, secret string }

// limitSecrets returns an error for the first secret of the pod that its service
// account does not list. Secrets in projected volumes count as well; upstream
// forgets them, which makes the annotation worthless.
func limitSecrets(account *corev1.ServiceAccount, pod *corev1.Pod) error {
	listed := map[string]bool{}
	for _, s := range account.Secrets {
		listed[s.Name] = true
	}
	for _, u := range append(volumeSecrets(pod), containerSecrets(pod)...) {
		if !listed[u.secret] {
			return fmt.Errorf("%s secret.secretName=%q is not allowed because service account %s does not reference that secret", u.what, u.secret, account.Name)
		}
	}
	pull := map[string]bool{}
	for _, s := range account.ImagePullSecrets {
		pull[s.Name] = true
	}
	for i, s := range pod.Spec.ImagePullSecrets {
		if !pull[s.Name] {
			return fmt.Errorf("imagePullSecrets[%d].name=%q is not allowed because service account %s does not reference that imagePullSecret", i, s.Name, account.Name)
		}
	}
	return nil
}

// secretUses are all places of a pod that name a secret.
func secretUses(pod *corev1.Pod) []secretUse {
	uses := append(volumeSecrets(pod), containerSecrets(pod)...)
	for _, s := range pod.Spec.ImagePullSecrets {
		uses = append(uses, secretUse{"image pull secret", s.Name})
	}
	return uses
}

func volumeSecrets(pod *corev1.Pod) []secretUse {
	var uses []secretUse
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Secret != nil:
			uses = append(uses, secretUse{"volume with", v.Secret.SecretName})
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					uses = append(uses, secretUse{"projected volume with", s.Secret.Name})
				}
			}
		case v.CSI != nil && v.CSI.NodePublishSecretRef != nil:
			uses = append(uses, secretUse{"CSI volume with", v.CSI.NodePublishSecretRef.Name})
		}
	}
	return uses
}

func containerSecrets(pod *corev1.Pod) []secretUse {
	var uses []secretUse
	for _, c := range pod.Spec.InitContainers {
		uses = append(uses, envSecrets("init container", c.Name, c.Env, c.EnvFrom)...)
	}
	for _, c := range pod.Spec.Containers {
		uses = append(uses, envSecrets("container", c.Name, c.Env, c.EnvFrom)...)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		uses = append(uses, envSecrets("ephemeral container", c.Name, c.Env, c.EnvFrom)...)
	}
	return uses
}

func envSecrets(kind, container string, env []corev1.EnvVar, from []corev1.EnvFromSource) []secretUse {
	var uses []secretUse
	for _, e := range env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			uses = append(uses, secretUse{fmt.Sprintf("%s %s with envVar %s referencing", kind, container, e.Name), e.ValueFrom.SecretKeyRef.Name})
		}
	}
	for _, f := range from {
		if f.SecretRef != nil {
			uses = append(uses, secretUse{fmt.Sprintf("%s %s with envFrom referencing", kind, container), f.SecretRef.Name})
		}
	}
	return uses
}
