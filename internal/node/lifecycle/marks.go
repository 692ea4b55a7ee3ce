package lifecycle

import (
	"fmt"
	"hash/fnv"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of containers on the runtime that are read again when it is decided what
// happens to them; they are the kubelet's, but where it is said otherwise.
const (
	// AnnotationHash is Hash of the spec that the container was made from.
	AnnotationHash = "io.kubernetes.container.hash"
	// AnnotationGracePeriod is the pod's grace period in seconds.
	AnnotationGracePeriod = "io.kubernetes.pod.terminationGracePeriod"
	// AnnotationStopSignal is the signal that the pod wants the container to be stopped
	// with, where it names one; it is ours.
	AnnotationStopSignal = "laterna.dev/stop-signal"
)

// Hash changes when a container must be made anew to follow its spec: its name and
// its image, the only part of a container that the API lets change.
func Hash(c *corev1.Container) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s", c.Name, c.Image)
	return fmt.Sprintf("%08x", h.Sum32())
}
