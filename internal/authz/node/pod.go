package node

import (
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/podfields"
)

// readable are the kinds of objects that a node gets from the API for its pods.
var readable = map[podfields.Kind]string{
	podfields.Secrets:         secretKind,
	podfields.ConfigMaps:      configMapKind,
	podfields.ServiceAccounts: serviceAccountKind,
	podfields.VolumeClaims:    volumeClaimKind,
}

// referencesOf returns the objects that a pod gives its node access to, each once,
// the pod among them. A mirror pod, which a node makes itself, gives access to
// nothing but itself.
func referencesOf(pod *corev1.Pod) []reference {
	refs := []reference{{podKind, pod.Namespace, pod.Name}}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return refs
	}
	seen := map[reference]bool{}
	for r := range podfields.References(&pod.Spec) {
		ref := reference{readable[r.Kind], pod.Namespace, r.Name}
		if ref.kind == "" || ref.name == "" || seen[ref] {
			continue
		}
		seen[ref] = true
		refs = append(refs, ref)
	}
	return refs
}
