package events

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"laterna.dev/laterna/internal/podfields"
)

// Reasons of Events, upstream's where upstream has them.
const (
	Pulling           = "Pulling"
	Pulled            = "Pulled"
	BackOff           = "BackOff"
	Failed            = "Failed"
	Created           = "Created"
	Started           = "Started"
	Killing           = "Killing"
	ErrImageNeverPull = "ErrImageNeverPull"
	InspectFailed     = "InspectFailed"
	PullSecrets       = "FailedToRetrieveImagePullSecret"
	ImageGCFailed     = "ImageGCFailed"
	FreeDiskSpace     = "FreeDiskSpaceFailed"
	Sandbox           = "FailedCreatePodSandBox"
	SandboxChanged    = "SandboxChanged"
	KillSandbox       = "FailedKillPod"
	ClusterDNS        = "MissingClusterDNS"
	DNSConfig         = "DNSConfigForming"
	Deadline          = "DeadlineExceeded"
	Evicted           = "Evicted"
	Unhealthy         = "Unhealthy"
	ProbeWarning      = "ProbeWarning"
	PostStartFailed   = "FailedPostStartHook"
	PreStopFailed     = "FailedPreStopHook"
	HookFallback      = "LifecycleHTTPFallback"
	ResizeStarted     = "ResizeStarted"
	ResizeCompleted   = "ResizeCompleted"
	ResizeDeferred    = "ResizeDeferred"
	ResizeInfeasible  = "ResizeInfeasible"
	ResizeError       = "ResizeError"
	HostPort          = "HostPortConflict"
	ThresholdMet      = "EvictionThresholdMet"
	// Unsupported is ours: the pod waits, since a field of it is not honoured.
	Unsupported = "UnsupportedField"
)

// remembered is of how many pods and their containers a node knows for a while which events
// it recorded last, to write the next like it into the same.
const remembered = 1024

// NewRecorder returns a recorder of Events as component kubelet on a node; the writing
// ends with ctx.
func NewRecorder(ctx context.Context, client kubernetes.Interface, node string) record.EventRecorder {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx), record.WithCorrelatorOptions(record.CorrelatorOptions{LRUCacheSize: remembered}))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: node})
}

// Pod is the reference that an Event about a pod carries.
func Pod(pod *corev1.Pod) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name,
		UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
}

// Node is the reference that an Event about a node carries; its UID is its name, as
// with upstream's kubelet.
func Node(name string) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID(name)}
}

// Container also names the container, and the list of the spec that it stands in.
func Container(pod *corev1.Pod, container string) *corev1.ObjectReference {
	ref, list := Pod(pod), podfields.Main
	for at, c := range podfields.Containers(&pod.Spec) {
		if c.Name == container {
			list = at.List
		}
	}
	ref.FieldPath = fmt.Sprintf("spec.%s{%s}", list, container)
	return ref
}

// PodName is how messages name a pod.
func PodName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}

// NoClusterDNS returns what says once, on the node and not on each of its pods, that there is
// no cluster DNS; why may be empty.
func NoClusterDNS(r record.EventRecorder, node, why string) func() {
	if why != "" {
		why = " (" + why + ")"
	}
	return sync.OnceFunc(func() {
		r.Event(Node(node), corev1.EventTypeWarning, ClusterDNS,
			"This node has no cluster DNS"+why+": pods with the dnsPolicy ClusterFirst are given the resolver of the node, as with \"Default\"")
	})
}
