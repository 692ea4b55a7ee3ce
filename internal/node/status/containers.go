package status

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

// Reasons of waiting and terminated containers, as upstream writes them.
const (
	ContainerCreating          = "ContainerCreating"
	CrashLoopBackOff           = "CrashLoopBackOff"
	CreateContainerConfigError = "CreateContainerConfigError"
	CreateContainerError       = "CreateContainerError"
	RunContainerError          = "RunContainerError"
	ErrImagePull               = "ErrImagePull"
	ImagePullBackOff           = "ImagePullBackOff"
	ErrImageNeverPull          = "ErrImageNeverPull"
	ImageInspectError          = "ImageInspectError"
	InvalidImageName           = "InvalidImageName"
	ContainerStatusUnknown     = "ContainerStatusUnknown"
)

// containerStatuses has one status a container that is run, in the spec's order.
func containerStatuses(in Input) []corev1.ContainerStatus {
	if in.rejected() {
		return nil
	}
	out := make([]corev1.ContainerStatus, 0, len(in.Pod.Spec.Containers))
	for _, c := range lifecycle.Run(&in.Pod.Spec) {
		out = append(out, containerStatus(in, c.Spec))
	}
	limitMessages(in.Pod, out)
	return out
}

func containerStatus(in Input, c *corev1.Container) corev1.ContainerStatus {
	old := find(in.Pod.Status.ContainerStatuses, c.Name)
	attempts := lifecycle.Attempts(in.Containers, c.Name)
	if len(attempts) == 0 {
		return withoutContainer(in, c, old)
	}
	newest := attempts[0]
	out := corev1.ContainerStatus{
		Name: c.Name, Image: newest.Image, ImageID: newest.ImageRef, ContainerID: containerID(in.Runtime, newest.ID),
		RestartCount: int32(newest.Attempt), Resources: &c.Resources, AllocatedResources: c.Resources.Requests,
		VolumeMounts: volumeMounts(c),
	}
	out.State = state(in, newest, old)
	if len(attempts) > 1 && (attempts[1].State == cri.ContainerExited || attempts[1].State == cri.ContainerUnknown) {
		out.LastTerminationState.Terminated = terminated(in, attempts[1], old)
	} else if old != nil {
		out.LastTerminationState = keptLastState(in, old, out.ContainerID)
	}
	if w, ok := in.Waiting[c.Name]; ok && out.State.Running == nil {
		if out.State.Terminated != nil {
			out.LastTerminationState = out.State
		}
		out.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}}
	}
	known := lifecycle.Runtime{Probed: in.Probed}
	started := out.State.Running != nil && known.Started(&newest)
	out.Ready, out.Started = started && known.Ready(&newest), &started
	return out
}

// withoutContainer is the status of a container that the runtime does not have: not
// made yet, or made in a life of the machine that is over.
func withoutContainer(in Input, c *corev1.Container, old *corev1.ContainerStatus) corev1.ContainerStatus {
	no := false
	out := corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, Started: &no,
		Resources: &c.Resources, AllocatedResources: c.Resources.Requests, VolumeMounts: volumeMounts(c),
	}
	waiting := corev1.ContainerStateWaiting{Reason: ContainerCreating}
	if w, ok := in.Waiting[c.Name]; ok {
		waiting = corev1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}
	}
	out.State.Waiting = &waiting
	if old == nil || old.ContainerID == "" {
		return out
	}
	out.RestartCount, out.ImageID, out.Image = old.RestartCount, old.ImageID, old.Image
	out.ContainerID, out.LastTerminationState = old.ContainerID, old.LastTerminationState
	lost := lostState(in, old)
	if in.Terminal || finished(in.Pod.Status.Phase) {
		if lost.Terminated != nil {
			out.State = lost
		}
		return out
	}
	if lost.Terminated != nil {
		out.LastTerminationState = lost
	}
	return out
}

// lostState is the state of a container that the runtime lost: nobody knows how one
// that ran has ended, nor when, only that it was noticed now.
func lostState(in Input, old *corev1.ContainerStatus) corev1.ContainerState {
	if old.State.Running == nil {
		return old.State
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: ContainerStatusUnknown, ContainerID: old.ContainerID,
		StartedAt: old.State.Running.StartedAt, FinishedAt: in.Now,
		Message: "The container could not be located when the pod was deleted.  The container used to be Running",
	}}
}

func state(in Input, c cri.Container, old *corev1.ContainerStatus) corev1.ContainerState {
	switch c.State {
	case cri.ContainerRunning:
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(c.StartedAt)}}
	case cri.ContainerExited, cri.ContainerUnknown:
		return corev1.ContainerState{Terminated: terminated(in, c, old)}
	}
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: ContainerCreating}}
}

// terminated describes a dead container. What was reported once stays as it was
// reported, since the file of the termination message may be gone.
func terminated(in Input, c cri.Container, old *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	id := containerID(in.Runtime, c.ID)
	if old != nil {
		for _, s := range []corev1.ContainerState{old.State, old.LastTerminationState} {
			if s.Terminated != nil && s.Terminated.ContainerID == id {
				return s.Terminated
			}
		}
	}
	out := &corev1.ContainerStateTerminated{
		ExitCode: c.ExitCode, Reason: c.Reason, Message: c.Message,
		StartedAt: stamp(c.StartedAt), FinishedAt: stamp(c.FinishedAt), ContainerID: id,
	}
	if out.StartedAt.IsZero() { // it never started: upstream writes the epoch
		out.StartedAt = metav1.Unix(0, 0)
	}
	if out.FinishedAt.IsZero() { // the runtime was killed before it could note it
		out.FinishedAt = in.Now
	}
	if out.Reason == "" {
		out.Reason = "Completed"
		if c.ExitCode != 0 {
			out.Reason = "Error"
		}
	}
	return out
}

// keptLastState is the last state that the API has, when the runtime no longer has
// that container.
func keptLastState(in Input, old *corev1.ContainerStatus, current string) corev1.ContainerState {
	last := old.LastTerminationState
	if old.ContainerID != current {
		if lost := lostState(in, old); lost.Terminated != nil {
			last = lost
		}
	}
	if last.Terminated != nil && last.Terminated.ContainerID == current {
		return corev1.ContainerState{}
	}
	return last
}

func volumeMounts(c *corev1.Container) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		s := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			disabled := corev1.RecursiveReadOnlyDisabled
			s.RecursiveReadOnly = &disabled
		}
		out = append(out, s)
	}
	return out
}

func find(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

func containerID(runtime, id string) string { return runtime + "://" + id }

// stamp is in whole seconds, as the API stores it, so that a status read back
// compares equal. A missing time stays missing.
func stamp(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.NewTime(t.Truncate(time.Second))
}
