package status

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/podfields"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Reasons of pod conditions, as upstream writes them.
const (
	podCompleted           = "PodCompleted"
	podFailed              = "PodFailed"
	containersNotReady     = "ContainersNotReady"
	readinessGatesNotReady = "ReadinessGatesNotReady"
	notInitialized         = "ContainersNotInitialized"
	unknownStatuses        = "UnknownContainerStatuses"
	restartAllStarted      = "RestartAllContainersStarted"
)

// Owned are the conditions that this package decides; all others are kept. It also decides
// a DisruptionTarget of its own reason: others set that condition too.
var Owned = []corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	corev1.AllContainersRestarting, corev1.PodResizePending, corev1.PodResizeInProgress,
}

// conditions are those that a kubelet owns, each with the transition time it had
// while its status is unchanged, and every condition of other owners as it is.
func conditions(in Input, s corev1.PodStatus) []corev1.PodCondition {
	ready := containersReady(in, s)
	owned := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: truth(sandboxReady(in))},
		initialized(in, s),
		podReady(in.Pod, ready),
		ready,
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	}
	if podfields.MayRestartAll(&in.Pod.Spec) {
		owned = append(owned, allRestarting(in, s.Phase))
	}
	if in.Failed != nil && in.Failed.Disruption {
		owned = append(owned, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonTerminationByKubelet, Message: in.Failed.Message,
		})
	}
	for i := range owned {
		owned[i].ObservedGeneration = in.Pod.Generation
	}
	if !finished(s.Phase) {
		owned = append(owned, in.Resizing...) // each is of the generation that asked for it
	}
	out := make([]corev1.PodCondition, 0, len(owned))
	for _, c := range owned {
		c.LastTransitionTime = in.Now
		if old := condition(in.Pod.Status.Conditions, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		out = append(out, c)
	}
	for _, c := range in.Pod.Status.Conditions {
		if resizes := c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress; !resizes && condition(out, c.Type) == nil {
			out = append(out, c)
		}
	}
	return out
}

func sandboxReady(in Input) bool {
	return in.Sandbox != nil && in.Sandbox.State == cri.SandboxReady && (in.Pod.Spec.HostNetwork || len(in.Sandbox.IPs) > 0)
}

// initialized is that the init containers have succeeded and the sidecars are started,
// or that a main container was started since.
func initialized(in Input, s corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	if s.Phase == corev1.PodSucceeded {
		c.Reason = podCompleted
		return c
	}
	if len(s.InitContainerStatuses) == 0 && len(in.Pod.Spec.InitContainers) > 0 {
		c.Status, c.Reason = corev1.ConditionFalse, unknownStatuses
		return c
	}
	var incomplete []string
	for _, k := range lifecycle.Only(&in.Pod.Spec, lifecycle.Init, lifecycle.Sidecar) {
		got := lifecycle.Reported(&s, k.Spec.Name)
		if k.Role == lifecycle.Init && !got.Ready || k.Role == lifecycle.Sidecar && !*got.Started {
			incomplete = append(incomplete, k.Spec.Name)
		}
	}
	if len(incomplete) > 0 && !mainStarted(&s) {
		c.Status, c.Reason = corev1.ConditionFalse, notInitialized
		c.Message = fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(incomplete, " "))
	}
	return c
}

// allRestarting is that all containers are being removed to be started again, which only
// pods with such a rule have.
func allRestarting(in Input, p corev1.PodPhase) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.AllContainersRestarting, Status: corev1.ConditionFalse}
	switch {
	case p == corev1.PodSucceeded:
		c.Reason = podCompleted
	case p == corev1.PodFailed:
		c.Reason = podFailed
	case in.Restarting:
		c.Status, c.Reason, c.Message = corev1.ConditionTrue, restartAllStarted, "container exited with restart policy rule"
	}
	return c
}

func containersReady(in Input, s corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionFalse}
	switch s.Phase {
	case corev1.PodSucceeded:
		c.Reason = podCompleted
		return c
	case corev1.PodFailed:
		c.Reason = podFailed
		return c
	}
	var unready []string
	for _, k := range lifecycle.Only(&in.Pod.Spec, lifecycle.Sidecar, lifecycle.Main) {
		if got := lifecycle.Reported(&s, k.Spec.Name); got != nil && !got.Ready {
			unready = append(unready, k.Spec.Name)
		}
	}
	if len(unready) == 0 {
		c.Status = corev1.ConditionTrue
		return c
	}
	c.Reason = containersNotReady
	c.Message = fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	return c
}

// podReady is that all containers are ready and every readiness gate is open.
func podReady(pod *corev1.Pod, containers corev1.PodCondition) corev1.PodCondition {
	c := containers
	c.Type = corev1.PodReady
	if containers.Status != corev1.ConditionTrue {
		return c
	}
	var closed []string
	for _, gate := range pod.Spec.ReadinessGates {
		switch got := condition(pod.Status.Conditions, gate.ConditionType); {
		case got == nil:
			closed = append(closed, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case got.Status != corev1.ConditionTrue:
			closed = append(closed, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, got.Status))
		}
	}
	if len(closed) > 0 {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, readinessGatesNotReady, strings.Join(closed, ", ")
	}
	return c
}

func condition(all []corev1.PodCondition, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range all {
		if all[i].Type == t {
			return &all[i]
		}
	}
	return nil
}

func truth(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// MergeConditions is the conditions ours, with those that others own as theirs has them:
// also gone, where it has them no more.
func MergeConditions(ours, theirs []corev1.PodCondition) []corev1.PodCondition {
	var out []corev1.PodCondition
	for _, c := range ours {
		own := slices.Contains(Owned, c.Type) || c.Type == corev1.DisruptionTarget && c.Reason == corev1.PodReasonTerminationByKubelet
		if now := condition(theirs, c.Type); own {
			out = append(out, c)
		} else if now != nil {
			out = append(out, *now)
		}
	}
	for _, c := range theirs {
		if !slices.Contains(Owned, c.Type) && condition(out, c.Type) == nil {
			out = append(out, c)
		}
	}
	return out
}
