package runspec

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Labels and annotations of sandboxes and containers. All but LabelInstance are the
// kubelet's, so that tools which read them work here. Those that decide what happens to
// a container are lifecycle's.
const (
	LabelPodName       = "io.kubernetes.pod.name"
	LabelPodNamespace  = "io.kubernetes.pod.namespace"
	LabelPodUID        = "io.kubernetes.pod.uid"
	LabelContainerName = "io.kubernetes.container.name"

	AnnotationRestartCount      = "io.kubernetes.container.restartCount"
	AnnotationTerminationPath   = "io.kubernetes.container.terminationMessagePath"
	AnnotationTerminationPolicy = "io.kubernetes.container.terminationMessagePolicy"

	// AnnotationSeen and AnnotationSource are what the kubelet adds to the annotations
	// that a pod sees of itself.
	AnnotationSeen   = "kubernetes.io/config.seen"
	AnnotationSource = "kubernetes.io/config.source"
	// LabelInstance marks what belongs to one data directory. Nothing without our
	// own mark is ever stopped: the runtime may serve others too.
	LabelInstance = "laterna.dev/instance"
)

// podLabels are the marks of everything that belongs to a pod.
func podLabels(pod *corev1.Pod, instance string) map[string]string {
	return map[string]string{
		LabelPodName:      pod.Name,
		LabelPodNamespace: pod.Namespace,
		LabelPodUID:       string(pod.UID),
		LabelInstance:     instance,
	}
}

// mostMetadata is how many bytes of a pod's labels, and of its annotations, its sandbox
// has. The runtime lists all sandboxes in one answer, whose size is bounded: a few pods
// with all that the API lets them have would keep the node from reading it.
const mostMetadata = 16 << 10

func sandboxLabels(pod *corev1.Pod, instance string) map[string]string {
	out := fitting(pod.Labels)
	maps.Copy(out, podLabels(pod, instance))
	return out
}

// sandboxAnnotations always have what says since when the agent knows the pod.
func sandboxAnnotations(pod *corev1.Pod) map[string]string {
	out := fitting(pod.Annotations)
	for _, own := range []string{AnnotationSeen, AnnotationSource} {
		if value, ok := pod.Annotations[own]; ok {
			out[own] = value
		}
	}
	return out
}

// fitting leaves out the largest entries, if all together have more than mostMetadata
// bytes.
func fitting(all map[string]string) map[string]string {
	size := func(key string) int { return len(key) + len(all[key]) }
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(size(a), size(b)), strings.Compare(a, b))
	})
	out, sum := make(map[string]string, len(all)), 0
	for _, key := range keys {
		if sum += size(key); sum > mostMetadata {
			break
		}
		out[key] = all[key]
	}
	return out
}
