package runspec

import (
	"fmt"
	"hash/fnv"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// Labels and annotations of sandboxes and containers. All but LabelInstance are the
// kubelet's, so that tools which read them work here.
const (
	LabelPodName       = "io.kubernetes.pod.name"
	LabelPodNamespace  = "io.kubernetes.pod.namespace"
	LabelPodUID        = "io.kubernetes.pod.uid"
	LabelContainerName = "io.kubernetes.container.name"

	AnnotationHash              = "io.kubernetes.container.hash"
	AnnotationRestartCount      = "io.kubernetes.container.restartCount"
	AnnotationTerminationPath   = "io.kubernetes.container.terminationMessagePath"
	AnnotationTerminationPolicy = "io.kubernetes.container.terminationMessagePolicy"
	AnnotationGracePeriod       = "io.kubernetes.pod.terminationGracePeriod"

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

func sandboxLabels(pod *corev1.Pod, instance string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, pod.Labels)
	maps.Copy(out, podLabels(pod, instance))
	return out
}

// Hash changes when a container must be made anew to follow its spec: its name and
// its image, the only part of a container that the API lets change.
func Hash(c *corev1.Container) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s", c.Name, c.Image)
	return fmt.Sprintf("%08x", h.Sum32())
}
