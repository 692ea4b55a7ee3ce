package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// Reasons of Events, upstream's where upstream has them.
const (
	reasonPulling           = "Pulling"
	reasonPulled            = "Pulled"
	reasonBackOff           = "BackOff"
	reasonFailed            = "Failed"
	reasonCreated           = "Created"
	reasonStarted           = "Started"
	reasonKilling           = "Killing"
	reasonErrImageNeverPull = "ErrImageNeverPull"
	reasonInspectFailed     = "InspectFailed"
	reasonSandbox           = "FailedCreatePodSandBox"
	reasonSandboxChanged    = "SandboxChanged"
	reasonKillSandbox       = "FailedKillPod"
	reasonClusterDNS        = "MissingClusterDNS"
	reasonDeadline          = "DeadlineExceeded"
	reasonEvicted           = "Evicted"
	// reasonUnsupported is ours: the pod waits, since a field of it is not honoured.
	reasonUnsupported = "UnsupportedField"
)

// newRecorder returns a recorder of Events as component kubelet on this node; the
// writing ends with ctx.
func newRecorder(ctx context.Context, cfg *Config) record.EventRecorder {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: cfg.Client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: cfg.NodeName})
}

// podRef is the reference that an Event about a pod carries.
func podRef(pod *corev1.Pod) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name,
		UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
}

// containerRef also names the container.
func containerRef(pod *corev1.Pod, container string) *corev1.ObjectReference {
	ref := podRef(pod)
	ref.FieldPath = fmt.Sprintf("spec.containers{%s}", container)
	return ref
}

// podName is how messages name a pod.
func podName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}
