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
	podfields.ResourceClaims:  deviceClaimKind,
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
	add := func(kind, name string) {
		ref := reference{kind, pod.Namespace, name}
		if kind != "" && name != "" && !seen[ref] {
			seen[ref] = true
			refs = append(refs, ref)
		}
	}
	for r := range podfields.References(&pod.Spec) {
		add(readable[r.Kind], r.Name)
	}
	for _, made := range pod.Status.ResourceClaimStatuses { // of templates
		if made.ResourceClaimName != nil {
			add(deviceClaimKind, *made.ResourceClaimName)
		}
	}
	return refs
}
