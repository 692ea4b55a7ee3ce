package status

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Waiting says why a container that should run does not.
type Waiting struct {
	Reason  string
	Message string
	// Disruption says that the node is why a pod ends, and not the pod.
	Disruption bool
}

// Input is everything that a pod's status is made from.
type Input struct {
	// Pod is the pod as the API has it. What its status already says and the runtime
	// no longer knows (terminated containers, addresses, foreign conditions) is kept.
	Pod *corev1.Pod
	// Sandbox is the newest sandbox with its addresses; nil when there is none.
	Sandbox *cri.Sandbox
	// Containers are all containers of the pod, dead ones too, with full status.
	Containers []cri.Container
	// Probed is lifecycle.Runtime's.
	Probed map[string]lifecycle.Probed
	// Replaced are the containers that are started again, however they have ended.
	Replaced lifecycle.Replace
	// Waiting has the containers that were to be started and were not.
	Waiting map[string]Waiting
	// HostIPs are the node's addresses, primary first.
	HostIPs []string
	// Runtime is the scheme of container IDs, e.g. containerd.
	Runtime string
	// Terminal means that no container will be started again.
	Terminal bool
	// Restarting says that a container's rule has all of the pod removed, to be started
	// again.
	Restarting bool
	// Resizing are the conditions of the pod's resize, without their times, and Actual what
	// its containers have, by name, and ActualPod the pod as a whole; what is absent is what
	// the spec says.
	Resizing  []corev1.PodCondition
	Actual    map[string]corev1.ResourceRequirements
	ActualPod *corev1.ResourceRequirements
	// Failed, when not nil, makes the pod's phase Failed with this reason and message.
	Failed *Waiting
	// Rejected says that Failed is why the agent did not take the pod.
	Rejected bool
	// Now stamps conditions that change.
	Now metav1.Time
}

// Pod returns the status to report.
func Pod(in Input) corev1.PodStatus {
	old := in.Pod.Status
	out := corev1.PodStatus{
		ObservedGeneration: in.Pod.Generation,
		QOSClass:           QOSClass(in.Pod),
		StartTime:          old.StartTime,
		NominatedNodeName:  old.NominatedNodeName,
		Reason:             old.Reason,
		Message:            old.Message,
	}
	if !in.rejected() {
		out.InitContainerStatuses, out.ContainerStatuses, out.EphemeralContainerStatuses = containerStatuses(in)
	}
	if out.StartTime == nil {
		out.StartTime = &in.Now
	}
	addresses(in, &out)
	out.Phase = phase(in, &out)
	if in.Failed != nil {
		out.Phase, out.Reason, out.Message = corev1.PodFailed, in.Failed.Reason, in.Failed.Message
	} else if !finished(old.Phase) {
		out.Reason, out.Message = "", ""
	}
	out.Conditions = conditions(in, out)
	podResources(in, &out)
	return out
}

// rejected reports whether the agent never took the pod: it has no containers, now or
// after a restart of the agent.
func (in Input) rejected() bool {
	return in.Rejected || finished(in.Pod.Status.Phase) && len(in.Pod.Status.ContainerStatuses) == 0 && len(in.Containers) == 0
}

// finished reports whether a phase is final.
func finished(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

// addresses fills the host's and the pod's. A pod that has ended keeps its address.
func addresses(in Input, out *corev1.PodStatus) {
	for _, ip := range in.HostIPs {
		out.HostIPs = append(out.HostIPs, corev1.HostIP{IP: ip})
	}
	ips := in.Pod.Status.PodIPs
	switch {
	case in.Pod.Spec.HostNetwork && in.Sandbox != nil:
		ips = nil
		for _, ip := range in.HostIPs {
			ips = append(ips, corev1.PodIP{IP: ip})
		}
	case in.Sandbox != nil && in.Sandbox.State == cri.SandboxReady && len(in.Sandbox.IPs) > 0:
		ips = nil
		for _, ip := range in.Sandbox.IPs {
			ips = append(ips, corev1.PodIP{IP: ip})
		}
		slices.SortStableFunc(ips, func(a, b corev1.PodIP) int { return otherFamily(in.HostIPs, a.IP) - otherFamily(in.HostIPs, b.IP) })
	}
	out.PodIPs = slices.Clone(ips)
	if len(out.PodIPs) > 0 {
		out.PodIP = out.PodIPs[0].IP
	}
	if len(out.HostIPs) > 0 {
		out.HostIP = out.HostIPs[0].IP
	}
}

// otherFamily is 1 for an address that is not of the family of the node's primary
// one; those come after.
func otherFamily(hostIPs []string, ip string) int {
	if len(hostIPs) > 0 && strings.Contains(hostIPs[0], ":") != strings.Contains(ip, ":") {
		return 1
	}
	return 0
}
