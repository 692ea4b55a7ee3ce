package hook

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"laterna.dev/laterna/internal/node/probe"
)

// AnnotationPreStop has a container's preStop hook on the runtime, as the kubelet's does,
// for an agent that finds the container and no pod.
const AnnotationPreStop = "io.kubernetes.container.preStopHandler"

// mostAnnotation is how large a hook may be that a container is annotated with, in bytes:
// the runtime lists all containers in one answer, whose size is bounded.
const mostAnnotation = 4 << 10

// Annotation is a container's preStop hook as an annotation, empty when it has none or one
// that is too large. Ports are by number.
func Annotation(c *corev1.Container) string {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return ""
	}
	h := c.Lifecycle.PreStop.DeepCopy()
	if h.HTTPGet != nil {
		if port, err := probe.Port(h.HTTPGet.Port, c); err == nil {
			h.HTTPGet.Port = intstr.FromInt32(int32(port))
		}
	}
	text, err := json.Marshal(h)
	if err != nil || len(text) > mostAnnotation {
		return ""
	}
	return string(text)
}

// Annotated is the preStop hook of an annotation, nil when there is none.
func Annotated(text string) *corev1.LifecycleHandler {
	h := &corev1.LifecycleHandler{}
	if text == "" || len(text) > mostAnnotation || json.Unmarshal([]byte(text), h) != nil {
		return nil
	}
	return h
}
