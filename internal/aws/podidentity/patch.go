package podidentity

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Operation is one of a JSON Patch (RFC 6902).
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Patch words the injection for a pod as the webhook does: the label, the volume in front of
// all others, and then every container, whether it changes or not.
func (i *Injection) Patch(pod *corev1.Pod) (patch []Operation) {
	add := func(path string, value any) { patch = append(patch, Operation{"add", path, value}) }
	tokenFile := i.tokenFile(pod)
	switch {
	case i.Method != Agent:
	case pod.Labels == nil:
		add("/metadata/labels", map[string]string{labelKey: labelValue})
	default:
		add("/metadata/labels/"+strings.ReplaceAll(labelKey, "/", "~1"), labelValue)
	}
	switch {
	case i.hasVolume(pod) != nil:
	case pod.Spec.Volumes == nil:
		add("/spec/volumes", []corev1.Volume{i.volume()})
	default:
		add("/spec/volumes/0", i.volume())
	}
	add("/spec/containers", i.all(pod.Spec.Containers, tokenFile))
	if len(pod.Spec.InitContainers) > 0 {
		add("/spec/initContainers", i.all(pod.Spec.InitContainers, tokenFile))
	}
	return patch
}
