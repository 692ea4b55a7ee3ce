package serviceaccount

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
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
	for _, u := range secretUses(pod) {
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

// secretUses are all places of a pod that name a secret: volumes first, and image pull
// secrets, which service accounts list apart, not among them.
func secretUses(pod *corev1.Pod) (uses []secretUse) {
	var inContainers []secretUse
	for r := range podfields.References(&pod.Spec) {
		switch {
		case r.Kind != podfields.Secrets:
		case r.Volume != nil:
			uses = append(uses, secretUse{volumeWord(r.Volume), r.Name})
		case r.Container != nil:
			inContainers = append(inContainers, secretUse{environmentWord(&r), r.Name})
		}
	}
	return append(uses, inContainers...)
}

func volumeWord(v *corev1.Volume) string {
	switch {
	case v.Secret != nil:
		return "volume with"
	case v.Projected != nil:
		return "projected volume with"
	case v.CSI != nil:
		return "CSI volume with"
	}
	return "volume of a storage driver with"
}

// containerWords are what containers of each list are called in refusals.
var containerWords = map[podfields.List]string{
	podfields.Init: "init container", podfields.Main: "container", podfields.Ephemeral: "ephemeral container",
}

func environmentWord(r *podfields.Reference) string {
	who := containerWords[r.At.List] + " " + r.Container.Name
	if r.Variable == "" {
		return who + " with envFrom referencing"
	}
	return fmt.Sprintf("%s with envVar %s referencing", who, r.Variable)
}
